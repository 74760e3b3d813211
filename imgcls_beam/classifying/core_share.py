"""Workers that share a machine take their share of its cores each.

Beam starts several processes on one machine, and none is told of the others: two that each take
both of two cores reach 150 images/s together where they reach 522 with one core each. So a process
that classifies holds a lock file, and counts those of the others.
"""

import contextlib
import hashlib
import os
import pathlib
import socket
import threading
import time
import uuid
from collections.abc import Callable

from filelock import FileLock, Timeout

from imgcls_beam.cache import find_cache
from imgcls_beam.classifying.cpu import count_model_cores
from imgcls_beam.classifying.protocol import ClassifierSpec

_LOOKS_S = 1.0
"""Between two looks at who else is there."""

_QUIET_S = 10.0
"""A process that has classified nothing for so long has no share."""


class CoreShare:
    """The cores that are this process's to use, as long as it classifies.

    Attributes:
        cores: that it has where no other process classifies.
    """

    def __init__(
        self,
        folder: pathlib.Path | None = None,
        cores: int | None = None,
        clock_s: Callable[[], float] = time.time,
        *,
        is_fixed: bool = False,
    ) -> None:
        """Takes nothing yet.

        Args:
            folder: of the lock files; by default one of this machine, below that of the cache.
            cores: of the machine; by default those that this process may use.
            clock_s: the time of files, in seconds.
            is_fixed: whether it uses all of them, whoever else is there.
        """
        self._folder = folder or _find_folder()
        self.cores = count_model_cores() if cores is None else cores
        self._clock_s, self._is_fixed = clock_s, is_fixed
        self._turn = threading.Lock()
        self._own: FileLock | None = None
        self._looked_at_s: float | None = None
        self._count = self.cores

    def count(self) -> int:
        """Cores to use now, at least 1; says to the others that this process classifies."""
        with self._turn:
            now_s = self._clock_s()
            is_due = self._looked_at_s is None or abs(now_s - self._looked_at_s) >= _LOOKS_S
            if self.cores > 1 and is_due and not self._is_fixed:
                self._looked_at_s = now_s
                self._count = max(1, self.cores // (1 + self._look(now_s)))
            return self._count

    def _look(self, now_s: float) -> int:
        """How many others classify; 0 where no lock can be held."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._own is None:
                own = FileLock(self._folder / f"{os.getpid()}-{uuid.uuid4().hex}.lock")
                own.acquire(timeout=0)
                self._own = own
            os.utime(self._own.lock_file, (now_s, now_s))
            others = [
                path
                for path in self._folder.glob("*.lock")
                if str(path) != self._own.lock_file and _is_held(path)
            ]
            return sum(now_s - _read_time(path) < _QUIET_S for path in others)
        except (OSError, NotImplementedError, Timeout):  # a folder without rights, or locks
            self._own = None
            return 0


def share_cores(spec: ClassifierSpec) -> CoreShare:
    """The cores that a model may use: as many as were asked for, or a share of the machine's."""
    return CoreShare(cores=spec.threads, is_fixed=spec.threads is not None)


def _is_held(path: pathlib.Path) -> bool:
    """Whether a process holds a lock; the file of one that is gone is removed."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    with contextlib.suppress(OSError):
        path.unlink()
    lock.release()
    return False


def _read_time(path: pathlib.Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _find_folder() -> pathlib.Path:
    """One folder for the processes that share cores: of this host, bound to the same ones."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    machine = f"{socket.gethostname()} {cores}"
    return find_cache() / "cores" / hashlib.sha256(machine.encode()).hexdigest()[:16]
