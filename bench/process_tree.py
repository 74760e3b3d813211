"""What a program and everything it started take, as Linux tells it: memory and processor time."""

import dataclasses
import os
import pathlib
import time

_PROC = pathlib.Path("/proc")
_PAUSES = 25
"""Between two looks at memory, in times that one takes: it holds a process up that has much."""
_PARENT, _USER, _SYSTEM = 1, 11, 12
"""Fields of `/proc/PID/stat` after the name in brackets; see proc_pid_stat(5)."""


@dataclasses.dataclass(slots=True)
class TreeWatch:
    """What the processes of a tree took, by those that were alive at each look.

    Attributes:
        root: the process at the top.
        peak_bytes: the most that all of them together had in memory at one look, what several
            share counted once; or the highest mark of one of them, where that is more.
    """

    root: int
    peak_bytes: int = 0
    _looks_at_s: float = 0.0
    _used_s: dict[int, float] = dataclasses.field(default_factory=dict)

    @property
    def used_s(self) -> float:
        """Processor seconds of all processes that were seen, user and system."""
        return sum(self._used_s.values())

    def look(self) -> None:
        """Looks once; processes that end meanwhile are passed over."""
        tree = _find_tree(self.root)
        self._used_s |= tree
        start_s = time.monotonic()
        if start_s < self._looks_at_s:
            return
        total_bytes = 0
        for process in tree:
            resident, highest = _read_memory(process)
            total_bytes += resident
            self.peak_bytes = max(self.peak_bytes, highest)
        self.peak_bytes = max(self.peak_bytes, total_bytes)
        end_s = time.monotonic()
        self._looks_at_s = end_s + _PAUSES * (end_s - start_s)


def _find_tree(root: int) -> dict[int, float]:
    """Processor seconds of a process and its descendants, by process."""
    parents, used_s = {}, {}
    ticks = os.sysconf("SC_CLK_TCK")
    for path in _PROC.glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        process = int(path.parent.name)
        parents[process] = int(fields[_PARENT])
        used_s[process] = (int(fields[_USER]) + int(fields[_SYSTEM])) / ticks
    found = {root: used_s[root]} if root in used_s else {}
    # A child's number may be lower than its parent's: until no more is found.
    while more := {each for each, parent in parents.items() if parent in found} - found.keys():
        found |= {each: used_s[each] for each in more}
    return found


def _read_memory(process: int) -> tuple[int, int]:
    """Bytes in memory now, a page that n processes share as its n-th part, and the most ever."""
    try:
        shares = (_PROC / str(process) / "smaps_rollup").read_text(encoding="utf-8")
        status = (_PROC / str(process) / "status").read_text(encoding="utf-8")
    except OSError:
        return 0, 0
    return _read_kilobytes(shares, "Pss:"), _read_kilobytes(status, "VmHWM:")


def _read_kilobytes(text: str, name: str) -> int:
    lines = (line.split() for line in text.splitlines() if line.startswith(name))
    return next((int(fields[1]) * 1024 for fields in lines), 0)
