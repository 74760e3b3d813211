"""What Beam has started for a run of this program: worker processes and threads, or an engine."""

import contextlib
import functools
import importlib
import os
import pathlib
import signal
import sys

from imgcls_beam.time_limits import ask_within

_PROCESSES = pathlib.Path("/proc")
_WORKER = b"apache_beam.runners.worker.sdk_worker_main"

_THREADS = "apache_beam.runners.worker.sdk_worker"
_ENGINES = "apache_beam.utils.subprocess_server"
_END_S = 5.0
"""For an engine to end."""


def stop_engines() -> None:
    """Ends engines, Prism for one: Beam does so at the end of Python, which not every end is."""
    if _ENGINES in sys.modules:
        started = sys.modules[_ENGINES].SubprocessServer._cache
        for key in list(started._cache):
            with contextlib.suppress(Exception):  # it has ended meanwhile
                ask_within(_END_S, functools.partial(started.force_remove, *key))


def quieten_threads() -> None:
    """Workers that are threads of this program only log an error, which Beam would print as well.

    They go on until the program ends: its last sentence would not be the last.
    """
    vars(importlib.import_module(_THREADS))["print"] = _print_nothing


def _print_nothing(*words: object, file: object = None) -> None:
    del words, file


def kill_workers() -> None:
    """Kills them; the runner waits for them while it ends."""
    for pid in find_workers(os.getpid()):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            os.kill(pid, signal.SIGKILL)


def find_workers(program: int) -> list[int]:
    """The worker processes of a program, and the shells that started them. Only Linux says so.

    Args:
        program: its process's number.
    """
    parents, found = _read_parents(), []
    for pid in parents:
        if _is_below(pid, program, parents):
            with contextlib.suppress(OSError):
                if _WORKER in (_PROCESSES / str(pid) / "cmdline").read_bytes():
                    found.append(pid)
    return found


def _read_parents() -> dict[int, int]:
    """The parent of each process."""
    parents = {}
    with contextlib.suppress(OSError):
        for folder in _PROCESSES.iterdir():
            if folder.name.isdecimal():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    # After the name, which may hold anything: the state, and the parent.
                    rest = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                    parents[int(folder.name)] = int(rest[1])
    return parents


def _is_below(pid: int, top: int, parents: dict[int, int]) -> bool:
    seen: set[int] = set()
    while pid in parents and pid not in seen:
        seen.add(pid)
        pid = parents[pid]
        if pid == top:
            return True
    return False
