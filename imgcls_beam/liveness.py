"""Whether a worker process lives, for an engine that does not say when one dies.

The job's first elements wait for a step that has its worker connect to the program that started the
job, on the same machine. Nothing more is sent: the connection is open as long as the process lives,
whatever ends it.
"""

import contextlib
import dataclasses
import functools
import hmac
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import apache_beam as beam

_ElementT = TypeVar("_ElementT")

_HERE = "127.0.0.1"
_CONNECT_S, _TOKEN_S = 5.0, 5.0
"""For a worker to connect, and to say which job it is of."""
_TOKEN_BYTES = 16

_connected: list[socket.socket] = []
"""Of this process, which is a worker; closed when it ends."""


@dataclasses.dataclass(eq=False)
class Connect(beam.PTransform):
    """Passes elements on, once a worker has connected to the program that started the job.

    A step beside the others would not do: an engine may run it after them. A worker that cannot
    connect, since it is on another machine, does without.

    Attributes:
        port: of that program.
        token: what the worker says first.
    """

    port: int
    token: str

    def __post_init__(self) -> None:
        """Beam's own."""
        super().__init__()

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        """Connects, and passes the elements on."""
        once = elements.pipeline | "Once" >> beam.Impulse()
        connected = once | "Connect" >> beam.Map(_connect, self.port, self.token)
        passed_on = beam.Map(_pass_on, beam.pvalue.AsIter(connected))
        return elements | "PassOn" >> passed_on.with_output_types(elements.element_type)


def _pass_on(element: _ElementT, _connected: Iterable[None]) -> _ElementT:
    return element


def _connect(_impulse: bytes, port: int, token: str) -> None:
    with contextlib.suppress(OSError):
        opened = socket.create_connection((_HERE, port), _CONNECT_S)
        opened.sendall(token.encode())
        _connected.append(opened)


@contextlib.contextmanager
def hear_of_deaths(on_death: Callable[[], None]) -> Iterator[Connect]:
    """Hears of workers that end before the block does.

    Args:
        on_death: is called for each, in a thread of its own.

    Yields:
        The step behind the job's first elements whose worker is heard of.
    """
    token, is_over = secrets.token_hex(_TOKEN_BYTES), threading.Event()

    def hear(worker: socket.socket) -> None:
        with worker:
            if _is_of_job(worker, token):
                _wait_for_end(worker)
                if not is_over.is_set():
                    on_death()

    with socket.create_server((_HERE, 0)) as server:
        _start(functools.partial(_accept, server, hear))
        try:
            yield Connect(server.getsockname()[1], token)
        finally:
            is_over.set()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # who waits in `accept` comes back


def _accept(server: socket.socket, hear: Callable[[socket.socket], None]) -> None:
    with contextlib.suppress(OSError):
        while True:
            worker, _ = server.accept()
            _start(functools.partial(hear, worker))


def _is_of_job(worker: socket.socket, token: str) -> bool:
    worker.settimeout(_TOKEN_S)
    said = b""
    with contextlib.suppress(OSError):
        while len(said) < len(token) and (more := worker.recv(len(token) - len(said))):
            said += more
    return hmac.compare_digest(said, token.encode())


def _wait_for_end(worker: socket.socket) -> None:
    worker.settimeout(None)
    with contextlib.suppress(OSError):  # a killed process may leave it so, too
        while worker.recv(1):
            pass


def _start(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="imgcls-liveness", daemon=True).start()
