"""What is printed and written to docs/performance.md: the machine, tables of figures, ratios."""

import datetime
import importlib.metadata
import math
import os
import pathlib
import platform
from collections.abc import Callable, Iterable, Sequence

from bench.answers import compare
from bench.bars import Bar, find_bars
from bench.measuring import Spread
from bench.running import MOST_OTHERS, Result
from bench.runs import Run
from bench.timeline import Timeline

_LIBRARIES = ("torch", "transformers", "openvino", "apache-beam", "pillow", "pyarrow", "numpy")
_FEATURES = {
    "AVX-512": ("avx512f",),
    "bfloat16": ("avx512_bf16", "amx_bf16"),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "AMX": ("amx_tile",),
}
_COLUMNS: dict[str, Callable[[Run], float]] = {
    "images/s, steady": lambda run: run.steady,
    "images/s, whole process": lambda run: run.whole,
    "first scores after s": lambda run: run.first_s,
    "done after s": lambda run: run.wall_s,
    "peak MB": lambda run: run.peak_mb,
    "processor s": lambda run: run.used_s,
}


_START = """# How fast it is

Written by `make bench` (`python -m bench --write`); every figure is of one run on one machine.
Absolute figures move from machine to machine: what counts are the ratios, which are taken round by
round.

Each way is a process of its own, from its start to its rows in Parquet (the five best labels and
scores), and all ways of a table take turns. *Steady* is the slope of the line through all moments
at which an image's scores were known, from the first fifth of the images on. *Peak* is the memory
of the process and of all that it started, what they share counted once. Figures are medians, with
the lowest and the highest of the rounds. Peers are written as their own documentation would have it
(`bench/peers/`), each in an environment of its own with the versions of `bench/*.txt`. *Loops* are
written by hand for a model that is known beforehand, without Beam, without limits and without rows
for images that fail (`bench/ceilings.py`): the least that has to be done. Scores are held against
those of transformers' pipeline; models but the demo's have random weights.
"""


def describe_start() -> list[str]:
    """What the figures are, and of which machine."""
    return [*_START.splitlines(), "", *_describe_machine(), ""]


def _describe_machine() -> list[str]:
    """Processor, what of it matters here, and versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name, flags = _read_cpu()
    has = [what for what, names in _FEATURES.items() if flags & set(names)]
    lacks = [what for what in _FEATURES if what not in has]
    found = ", ".join(filter(None, (", ".join(has), f"no {', '.join(lacks)}" if lacks else "")))
    return [
        f"- Processor: {cores} cores of {name} ({found}), {platform.system()}",
        f"- Versions: Python {platform.python_version()}, {', '.join(_find_versions())}",
        f"- Day: {datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
    ]


def describe_result(result: Result) -> list[str]:
    """A table, and its ratios."""
    heads = ["", *_COLUMNS, "largest score difference"]
    reference = find_reference(result)
    rows = [
        [name, *_describe_runs(runs), _describe_agreement(runs, reference)]
        for name, runs in result.runs.items()
    ]
    missing = [f"- {name}: {reason}" for name, reason in result.obstacles.items()]
    others = [run.others for runs in result.runs.values() for run in runs]
    return [
        f"## {result.table.title}",
        "",
        f"Rounds: {result.table.rounds}. The pipeline's best batch: {result.best_size}. Cores that "
        f"others used meanwhile: {_describe_others(others)}.",
        "",
        *_lay_out(heads, rows),
        "",
        *(["Not measured:", "", *missing, ""] if missing else []),
        *_describe_bars(find_bars(result)),
        *_describe_timelines(result),
        *_describe_stages(result.stages),
    ]


def _describe_others(others: Sequence[float]) -> str:
    """What they used, and whether it leaves anything to be learnt."""
    if not others:
        return "unknown"
    used = Spread.of(others)
    disturbed = sum(each > MOST_OTHERS for each in others)
    if not disturbed:
        return _describe(used)
    share = f"{disturbed} of {len(others)} runs"
    return f"{_describe(used)}; more than {MOST_OTHERS:g} beside {share}, which is too much"


def _describe_timelines(result: Result) -> list[str]:
    """Of jobs with clocks: of their last run."""
    found = [(name, runs[-1].timeline) for name, runs in result.runs.items()]
    return [
        line
        for name, timeline in found
        if timeline is not None
        for line in _describe_timeline(name, timeline)
    ]


def _describe_timeline(name: str, timeline: Timeline) -> list[str]:
    start_s, end_s = timeline.window
    moments = [[what, f"{at:.2f}"] for what, at in timeline.find_moments()]
    shares = [[stage, f"{mean:.2f}", f"{any_:.0%}"] for stage, mean, any_ in timeline.find_shares()]
    of_beam = [[what, f"{share:.0%}"] for what, share in timeline.find_beam_threads()]
    return [
        f"{name}, its last run:",
        "",
        *_lay_out(["what happens", "s after its start"], moments),
        "",
        f"Between the first and the last scores ({end_s - start_s:.1f} s), what is done:",
        "",
        *_lay_out(["stage", "threads in it on average", "time in which one is"], shares),
        "",
        "And what the thread does that hands images from stage to stage:",
        "",
        *_lay_out(["it", "share of its time"], of_beam),
        "",
    ]


def _describe_stages(stages: dict[str, float]) -> list[str]:
    if not stages:
        return []
    rows = [[*name.rsplit(", ", 1), _to_text(rate)] for name, rate in stages.items()]
    return ["Each stage by itself:", "", *_lay_out(["", "", "rate"], rows), ""]


def _describe_runs(runs: Sequence[Run]) -> list[str]:
    return [_describe(Spread.of([take(run) for run in runs])) for take in _COLUMNS.values()]


def find_reference(result: Result) -> Run | None:
    """The pipeline's answers: those of the library itself, in float32. None: not measured."""
    peers = [each.title for each in result.table.trials if each.way.kind == "peer"]
    return next((result.runs[name][0] for name in peers if name in result.runs), None)


def _describe_agreement(runs: Sequence[Run], reference: Run | None) -> str:
    if reference is None:
        return ""
    found = [compare(run.answers, reference.answers) for run in runs]
    worst = max(found, key=lambda each: each.largest_difference)
    changed = worst.images - worst.same_top
    text = f"{worst.largest_difference:.0e}"
    return f"{text}, {changed} of {worst.images} best labels" if changed else text


def _describe_bars(bars: Sequence[Bar]) -> list[str]:
    if not bars:
        return []
    rows = [
        [
            bar.name,
            _describe(bar.found),
            f"{'≤' if bar.is_most else '≥'} {bar.least:g}",
            "yes" if bar.holds else "**no**",
        ]
        for bar in bars
    ]
    return [*_lay_out(["ratio", "found", "bar", "holds"], rows), ""]


def _lay_out(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _describe(spread: Spread) -> str:
    if spread.low == spread.high or math.isnan(spread.median):
        return _to_text(spread.median)
    return f"{_to_text(spread.median)} ({_to_text(spread.low)}–{_to_text(spread.high)})"


def _to_text(value: float) -> str:
    """Three digits that mean something."""
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def _find_versions() -> Iterable[str]:
    for name in _LIBRARIES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"no {name}"


def _read_cpu() -> tuple[str, set[str]]:
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    fields = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
    name = fields.get("model name", platform.processor() or platform.machine())
    family = f", family {fields['cpu family']}" if "cpu family" in fields else ""
    return name + family, set(fields.get("flags", "").split())
