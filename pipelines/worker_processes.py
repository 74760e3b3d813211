"""The worker processes that Beam's local runner has started for a run of this program."""

import contextlib
import os
import pathlib
import signal

_PROCESSES = pathlib.Path("/proc")
_WORKER = b"apache_beam.runners.worker.sdk_worker_main"


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
