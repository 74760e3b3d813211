"""What is printed: the machine, a table of figures, a table of ratios."""

import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Sequence

from bench.answers import Agreement
from bench.measuring import Figure, Ratio, Samples, Spread, divide

_LIBRARIES = ("torch", "transformers", "apache-beam", "pillow", "pyarrow", "numpy")


def describe_machine() -> str:
    """Cores, CPU model, versions and thread counts."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    torch_threads = (
        f"{torch.get_num_threads()} (between operators {torch.get_num_interop_threads()})"
    )
    return "\n".join(
        (
            f"machine   {_find_cpu()}, {cores} cores, {platform.system()} {platform.machine()}",
            f"versions  Python {platform.python_version()}, {versions}",
            f"threads   torch {torch_threads}, decoding {cores}",
        )
    )


def describe_agreement(agreement: Agreement) -> str:
    """One line: whether the job and the pipeline say the same."""
    return (
        f"answers   best label equal on {agreement.same_top} of {agreement.images} images; "
        f"largest score difference {agreement.largest_difference:.1e}"
    )


def describe_others(cores: float | None) -> str:
    """One line: what else went on on this machine meanwhile."""
    used = "an unknown number of" if cores is None else f"{cores:.1f}"
    return f"others    used {used} cores while this ran: what they take is missing in every figure"


def describe_figures(figures: Sequence[Figure], samples: Samples) -> str:
    """A line for each figure: its name, median, lowest and highest over the rounds."""
    rows = [(each.name, Spread.of(samples[each.name]), each.unit) for each in figures]
    return _lay_out("figure", [(name, *_format(spread), unit) for name, spread, unit in rows])


def describe_ratios(ratios: Sequence[Ratio], samples: Samples) -> str:
    """A line for each ratio; ratios are taken round by round."""
    spreads = [(each.name, divide(samples, each)) for each in ratios]
    return _lay_out("ratio", [(name, *_format(spread), "×") for name, spread in spreads])


def _lay_out(title: str, rows: Sequence[tuple[str, str, str, str]]) -> str:
    cells = [(title, "median", "min – max", ""), *rows]
    wide = [max(len(row[column]) for row in cells) for column in range(3)]
    return "\n".join(
        f"{name.ljust(wide[0])}  {median.rjust(wide[1])}  {span.rjust(wide[2])}  {unit}".rstrip()
        for name, median, span, unit in cells
    )


def _format(spread: Spread) -> tuple[str, str]:
    median, low, high = map(_to_text, (spread.median, spread.low, spread.high))
    return median, f"{low} – {high}"


def _to_text(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def _find_cpu() -> str:
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
