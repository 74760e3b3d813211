"""Ratios that the job is held to, each taken round by round within one run of the benchmark."""

import dataclasses
import statistics
from collections.abc import Callable, Sequence

from bench.measuring import Spread
from bench.running import Result
from bench.runs import Run
from bench.tables import Trial

Take = Callable[[Run], float]


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """One ratio beside what it has to be.

    Attributes:
        name: what is divided by what.
        found: over the rounds.
        least: what it is to be, at least; or, where `is_most`, at most.
        is_most: whether less is better.
    """

    name: str
    found: Spread
    least: float
    is_most: bool = False

    @property
    def holds(self) -> bool:
        """Whether the median does."""
        median = self.found.median
        return median <= self.least if self.is_most else median >= self.least


def find_bars(result: Result) -> list[Bar]:
    """The bars of one table; those whose rows were not measured are left out."""
    makers = {
        "first": _of_models,
        "others": _of_models,
        "profile": _of_stages,
        "large": _of_large,
        "start": _of_start,
        "memory": lambda result: [],
        "workers": _of_workers,
        "engines": _of_engines,
        "store": _of_store,
    }
    return makers[result.table.kind](result)


def _of_models(result: Result) -> list[Bar]:
    jobs = _choose(result, "job")
    bars = []
    for engine in ("torch", "openvino", "bfloat16"):
        ours, loops = (_best(result, kind, engine) for kind in ("job", "loop"))
        if ours and loops:
            bars.append(_divide(result, ours, loops, _steady, 0.95))
    exact = [each for each in jobs if each.way.is_exact]
    best_job = _best_of(result, exact)
    if best_job is None:
        return bars
    loops = _best_of(result, [each for each in _choose(result, "loop") if each.way.is_exact])
    peer, whole = (_best_of(result, _choose(result, "peer"), take) for take in (_steady, _whole))
    if loops:
        bars.append(_divide(result, best_job, loops, _steady, 0.95))
    if peer and whole:
        least = 1.5 if result.table.model == "vit-192" else 1.0
        bars.append(_divide(result, best_job, peer, _steady, least))
        best_whole = _best_of(result, exact, _whole) or best_job
        bars.append(_divide(result, best_whole, whole, _whole, 1.3))
    unique = {bar.name: bar for bar in bars}
    return list(unique.values())


def _of_stages(result: Result) -> list[Bar]:
    """What is slower by itself, the model or preparation, is what the job is to keep busy."""
    forward, prepare = (result.stages[f"{name}, images/s"] for name in ("forward", "prepare"))
    stage, rate, least = "forward", forward, 0.9
    if prepare < forward:
        stage, rate, least = "prepare", prepare, 0.8
    found = Spread.of(
        [run.steady / rate for run in result.runs.get(result.table.trials[0].title, [])]
    )
    return [Bar(f"steady: job / its stage {stage!r} by itself", found, least)]


def _of_large(result: Result) -> list[Bar]:
    exact, fast = (_best(result, "job", engine) for engine in ("openvino", "scaled"))
    return [_divide(result, fast, exact, _steady, 3.0)] if exact and fast else []


def _of_start(result: Result) -> list[Bar]:
    never, before, pipeline = (each.title for each in result.table.trials)
    if not {never, before, pipeline} <= result.runs.keys():
        return []
    return [
        _divide_names(result, never, pipeline, _wall, 1.0, is_most=True),
        _divide_names(result, before, pipeline, _first, 0.6, is_most=True),
    ]


def _of_workers(result: Result) -> list[Bar]:
    one, two = result.table.trials[:2]
    if not {one.title, two.title} <= result.runs.keys():
        return []
    return [_divide(result, two, one, _steady, 0.95)]


def _of_engines(result: Result) -> list[Bar]:
    """Worker processes that find out how to share cores, beside those that were told."""
    names = [each.title for each in result.table.trials[3:]]
    pairs = zip(names[::2], names[1::2], strict=True)
    return [
        _divide_names(result, shared, told, _steady, 0.95)
        for shared, told in pairs
        if {shared, told} <= result.runs.keys()
    ]


def _of_store(result: Result) -> list[Bar]:
    near, far = result.table.trials
    if not {near.title, far.title} <= result.runs.keys():
        return []
    return [_divide(result, far, near, _steady, 0.9)]


def _choose(result: Result, kind: str) -> list[Trial]:
    return [each for each in result.table.trials if each.way.kind == kind]


def _best(result: Result, kind: str, engine: str) -> Trial | None:
    chosen = [each for each in _choose(result, kind) if each.way.engine == engine]
    return _best_of(result, chosen)


def _best_of(result: Result, trials: Sequence[Trial], take: Take | None = None) -> Trial | None:
    measured = [each for each in trials if each.title in result.runs]
    rate = take or _steady
    key = lambda each: statistics.median(map(rate, result.runs[each.title]))  # noqa: E731
    return max(measured, key=key, default=None)


def _divide(result: Result, above: Trial, below: Trial, take: Take, least: float) -> Bar:
    return _divide_names(result, above.title, below.title, take, least)


def _divide_names(
    result: Result, above: str, below: str, take: Take, least: float, *, is_most: bool = False
) -> Bar:
    pairs = zip(result.runs[above], result.runs[below], strict=True)
    found = Spread.of([take(one) / take(other) for one, other in pairs])
    return Bar(f"{take.__name__.strip('_')}: {above} / {below}", found, least, is_most)


def _steady(run: Run) -> float:
    return run.steady


def _whole(run: Run) -> float:
    return run.whole


def _wall(run: Run) -> float:
    return run.wall_s


def _first(run: Run) -> float:
    return run.first_s
