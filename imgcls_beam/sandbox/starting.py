"""How a decode child is started: a fresh Python that knows where modules are, and nothing else."""

import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from imgcls_beam.sandbox.decode_child import main; main(sys.argv[1])"
)
_PASSED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_SET = {
    **{"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    # A child keeps so much of what an image took for the next: given back and asked for anew, a
    # photograph of 12 million pixels costs 13,000 page faults, a third of its decoding.
    **{"MALLOC_TRIM_THRESHOLD_": str(128 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)},
}
_Process = subprocess.Popen[bytes]
_Started = tuple[Callable[[], _Process], "Future[_Process]"]

_LOCK = threading.Lock()
_WANTED: "queue.SimpleQueue[_Started]" = queue.SimpleQueue()
_OWNERS: set[int] = set()
"""The processes whose starting thread runs: this one, and perhaps one that it was forked from."""


def start_program(told: Mapping[str, Any], descriptors: Sequence[int]) -> _Process:
    """Starts the program of a child.

    A thread that lasts as long as this process does it: the kernel ends the child with the thread
    that started it, and runners end theirs earlier.

    Args:
        told: what the program is told, see `decode_child.main`.
        descriptors: what it may have of this process.

    Raises:
        OSError: it cannot be started.
    """
    with _LOCK:
        if os.getpid() not in _OWNERS:
            _OWNERS.add(os.getpid())
            threading.Thread(target=_start_wanted, name="imgcls-start", daemon=True).start()
    done: Future[_Process] = Future()
    _WANTED.put((lambda: _start(told, descriptors), done))
    return done.result()


def _start_wanted() -> None:
    while True:
        start, done = _WANTED.get()
        try:
            done.set_result(start())
        except Exception as error:  # noqa: BLE001  it is raised where the child was wanted
            done.set_exception(error)


def _start(told: Mapping[str, Any], descriptors: Sequence[int]) -> _Process:
    if not sys.executable:
        raise FileNotFoundError("this Python does not know its own program")
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, json.dumps(told), _list_places()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=descriptors,
        env={**{name: os.environ[name] for name in _PASSED_ON if name in os.environ}, **_SET},
    )


def _list_places() -> str:
    """Where modules are found: first this package, wherever an installer has put it."""
    above = str(pathlib.Path(__file__).absolute().parents[2])
    return json.dumps([above, *(os.path.abspath(each or ".") for each in sys.path)])
