"""Worker processes that end by themselves end their run, and an interrupt ends all of them."""

import contextlib
import functools
import re
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from imgcls_beam.board import read_words
from imgcls_beam.stopping import stop_process

from .worker_processes import kill_workers

_WORKER_ENDED = re.compile(r"Worker subprocess exited with return code (-?\d+)")
_SHELL_SIGNALS = 128
"""A shell adds it to the signal by which its program was ended."""


@contextlib.contextmanager
def end_with_workers() -> Iterator[None]:
    """Beam's runner waits for its worker processes, whatever has become of them and of itself.

    One that ends by itself ends the run, and with an interrupt of this process all of them end: a
    terminal interrupts them too, who sends a signal does not.
    """
    before, ended = threading.excepthook, threading.Event()
    threading.excepthook = functools.partial(_hear, before, ended)
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in handlers.items():
        if callable(handler):
            signal.signal(number, functools.partial(_interrupt, handler, ended))
    try:
        yield
    finally:
        threading.excepthook = before
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, handler)


def _interrupt(
    before: Callable[[int, object], object], ended: threading.Event, number: int, frame: object
) -> None:
    ended.set()
    kill_workers()
    before(number, frame)


def _hear(
    before: Callable[[threading.ExceptHookArgs], object],
    is_over: threading.Event,
    arguments: threading.ExceptHookArgs,
) -> None:
    before(arguments)
    ended = _WORKER_ENDED.match(str(arguments.exc_value))
    if ended and not is_over.is_set():
        words = read_words()
        stop_process(words[0] if words else _explain_end(int(ended[1])))


def _explain_end(code: int) -> str:
    number = -code if code < 0 else code - _SHELL_SIGNALS
    if number == 9:
        return "a worker process was killed: by hand, or because memory ran out"
    if number > 0:
        return f"a worker process was ended by signal {number}"
    return f"a worker process ended with exit code {code}"
