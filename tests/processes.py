"""What Linux says of the processes that a test has started."""

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterable

import pytest

_PROCESSES = pathlib.Path("/proc")


def list_children(pid: int) -> dict[int, str]:
    """The processes that one has started and that are still there, with their programs' names."""
    found = {}
    for thread in (_PROCESSES / str(pid) / "task").iterdir():
        for child in _read(thread / "children").split():
            if name := _read(_PROCESSES / child / "comm").strip():
                found[int(child)] = name
    return found


def is_running(pid: int) -> bool:
    """Whether it has not ended; one that nobody has asked for its exit code has."""
    state = _read(_PROCESSES / str(pid) / "stat").rpartition(")")[2].split()[:1]
    return state not in ([], ["X"], ["Z"])


def wait_until(is_so: Callable[[], bool]) -> None:
    """Until something is so, for a minute at most."""
    for _ in range(6000):
        if is_so():
            return
        time.sleep(0.01)
    pytest.fail("it was not so within a minute")


def wait_for_end(pids: Iterable[int]) -> None:
    """Until all of them have ended."""
    for pid in pids:
        while is_running(pid):
            time.sleep(0.05)


def _read(file: pathlib.Path) -> str:
    """Nothing where the thread or the process has ended meanwhile."""
    with contextlib.suppress(OSError):
        return file.read_text()
    return ""
