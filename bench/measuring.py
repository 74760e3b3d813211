"""Taking times: seconds, rates, processes, and rounds that go through everything in turn."""

import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

Samples = dict[str, list[float]]

_SHORT_RATIO = 0.1
_STAT = pathlib.Path("/proc/stat")


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table; the name is unique."""

    name: str
    unit: str


@dataclasses.dataclass(frozen=True, slots=True)
class Ratio:
    """A rate over another one.

    Attributes:
        name: a row of the table.
        above: name of a figure.
        below: name of a figure; of several, the rate of doing one after the other.
    """

    name: str
    above: str
    below: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Measure:
    """What is measured at one go.

    Attributes:
        figures: what it gives.
        take: measures once; one value for each figure.
    """

    figures: tuple[Figure, ...]
    take: Callable[[], tuple[float, ...]]


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


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """A finished process: wall time from its start to its end, and its peak resident memory."""

    wall_s: float
    peak_mb: float


def take_rounds(measures: Sequence[Measure], rounds: int, say: Callable[[str], object]) -> Samples:
    """Measures everything once in a round, in turn: a drift of the machine hits all alike."""
    samples: Samples = {}
    for turn in range(rounds):
        for measure in measures:
            say(f"round {turn + 1} of {rounds}: {measure.figures[0].name}")
            for figure, value in zip(measure.figures, measure.take(), strict=True):
                samples.setdefault(figure.name, []).append(value)
    return samples


def divide(samples: Samples, ratio: Ratio) -> Spread:
    """A ratio of two figures, taken round by round."""
    below = [samples[name] for name in ratio.below]
    rounds = zip(samples[ratio.above], *below, strict=True)
    return Spread.of([above * sum(1.0 / rate for rate in rates) for above, *rates in rounds])


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
    """How many cores other programs of this machine used since the watch was made."""

    def __init__(self) -> None:
        """Starts watching."""
        self._start = (time.perf_counter(), _count_busy_s(), _count_own_s())

    def count_cores(self) -> float | None:
        """Mean number of cores; None where the system does not say."""
        start_s, busy_s, own_s = self._start
        now_busy_s = _count_busy_s()
        if busy_s is None or now_busy_s is None:
            return None
        used_s = now_busy_s - busy_s - (_count_own_s() - own_s)
        return max(0.0, used_s / (time.perf_counter() - start_s))


def _count_own_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _count_busy_s() -> float | None:
    """CPU seconds of all cores since the machine started: user, nice, system, irq and softirq."""
    if not _STAT.exists():
        return None
    ticks = [int(each) for each in _STAT.read_text(encoding="utf-8").split("\n")[0].split()[1:]]
    return sum(ticks[index] for index in (0, 1, 2, 5, 6)) / os.sysconf("SC_CLK_TCK")


def steady_rate(run: Callable[[int], object], few: int, many: int) -> float:
    """Images per second of a whole way, without what it costs to start.

    The same way is run on few images and on many: `(many - few) / (t_many - t_few)`. What both
    have alike (loading the model, building the graph, the first batch, publishing) cancels.
    Where the two times lie within a tenth, there are too few images to tell, and the rate is
    `many / t_many`: a lower bound.
    """
    few_s = time_call(lambda: run(few))
    many_s = time_call(lambda: run(many))
    if many_s - few_s < _SHORT_RATIO * many_s:
        return many / many_s
    return (many - few) / (many_s - few_s)


def run_process(arguments: Sequence[str], peak_file: pathlib.Path) -> Process:
    """Runs `python …` to its end.

    Args:
        arguments: after the interpreter; the program writes its own peak to `peak_file`, see
            `write_peak`.
        peak_file: one number, in MB.

    Raises:
        RuntimeError: it failed; the message is the end of what it wrote.
    """
    start_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    wall_s = time.perf_counter() - start_s
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    return Process(wall_s, float(peak_file.read_text(encoding="utf-8")))


def write_peak(peak_file: pathlib.Path) -> None:
    """Writes this process's peak resident memory, in MB of 10⁶ bytes.

    Linux hands a process's own `ru_maxrss` on to the children it starts, so a small child of a
    large parent would show the parent's: `VmHWM` begins anew with each program.
    """
    peak_file.write_text(f"{find_peak_bytes() / 1e6:.1f}", encoding="utf-8")


def find_peak_bytes() -> float:
    """Peak resident memory of this process, see `write_peak`."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        line = next((each for each in lines if each.startswith("VmHWM:")), None)
        if line is not None:
            return float(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
