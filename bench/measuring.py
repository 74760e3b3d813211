"""Taking times: seconds, rates, their spread, and what else goes on in the machine."""

import dataclasses
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence

_STAT = pathlib.Path("/proc/stat")


Take = Callable[[], float]
"""Measures once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Spread":
        """Sums rounds up."""
        return cls(statistics.median(samples), min(samples), max(samples))


def time_call(function: Callable[[], object]) -> float:
    """Wall seconds of a call."""
    start_s = time.perf_counter()
    function()
    return time.perf_counter() - start_s


def repeat_rate(function: Callable[[], object], items: int, at_least_s: float) -> float:
    """Items per second of a function that works on `items`, called until some time has passed."""
    calls, elapsed_s = 0, 0.0
    while calls == 0 or elapsed_s < at_least_s:
        elapsed_s += time_call(function)
        calls += 1
    return calls * items / elapsed_s


class OthersWatch:
    """How many cores others used on this machine since the watch was made."""

    def __init__(self) -> None:
        """Starts watching."""
        self._start = time.perf_counter(), _count_busy_s() - time.process_time()

    def count_cores(self, own_s: float) -> float:
        """Mean number of cores, less so many processor seconds, and those of this process.

        NaN where the system does not say.
        """
        start_s, busy_s = self._start
        used_s = _count_busy_s() - time.process_time() - busy_s - own_s
        return max(0.0, used_s / (time.perf_counter() - start_s))


def _count_busy_s() -> float:
    """CPU seconds of all cores since the machine started: user, nice, system, irq and softirq."""
    if not _STAT.exists():
        return float("nan")
    ticks = [int(each) for each in _STAT.read_text(encoding="utf-8").split("\n")[0].split()[1:]]
    return sum(ticks[index] for index in (0, 1, 2, 5, 6)) / os.sysconf("SC_CLK_TCK")


def find_peak_bytes() -> float:
    """Peak resident memory of this process.

    Linux hands a process's own `ru_maxrss` on to the children it starts, so a small child of a
    large parent would show the parent's: `VmHWM` begins anew with each program.
    """
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        line = next((each for each in lines if each.startswith("VmHWM:")), None)
        if line is not None:
            return float(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)
