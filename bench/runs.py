"""One way as a process of its own, from its start to its end, and what its rows say of it."""

import dataclasses
import os
import pathlib
import subprocess
import time
from collections.abc import Sequence

import numpy as np

from bench import answers
from bench.measuring import OthersWatch
from bench.process_tree import TreeWatch
from bench.timeline import Timeline, read_timeline

ROOT = pathlib.Path(__file__).parents[1]
_LOOK_S = 0.2
_STEADY_FROM = 0.2
_ERROR_CHARS = 2000


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What one run of a way took.

    Attributes:
        images: rows that came out.
        wall_s: from the start of the process to its end.
        first_s: from its start to the first scores.
        steady: images/s between the first fifth and the end, see `find_steady`.
        peak_mb: memory of the process and all that it started, see `TreeWatch`.
        used_s: processor seconds of the same.
        others: cores that the rest of the machine used meanwhile.
        answers: labels and scores, by image.
        timeline: of a job with clocks.
    """

    images: int
    wall_s: float
    first_s: float
    steady: float
    peak_mb: float
    used_s: float
    others: float
    answers: answers.Answers
    timeline: Timeline | None = None

    @property
    def whole(self) -> float:
        """Images/s of the whole process, with its start."""
        return self.images / self.wall_s


def run_way(command: Sequence[str], output: pathlib.Path, environment: dict[str, str]) -> Run:
    """Runs a program to its end and reads what it wrote.

    Args:
        command: the program and its arguments.
        output: what it writes: a file or folder, see `answers.read_rows`.
        environment: on top of this process's own.

    Raises:
        RuntimeError: it failed; the message is the end of what it wrote.
    """
    log = output.with_suffix(".log")
    with log.open("wb") as file:
        others, started_at = OthersWatch(), time.time()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        watch = _follow(process)
        wall_s = time.time() - started_at
    if process.returncode != 0:
        said = log.read_text(errors="replace")[-_ERROR_CHARS:]
        raise RuntimeError(f"{' '.join(command)}: {said}")
    found, profile = answers.read_rows(output), name_profile(output)
    done_at = sorted(row.done_at for row in found)
    return Run(
        images=len(found),
        wall_s=wall_s,
        first_s=done_at[0] - started_at,
        steady=find_steady(done_at),
        peak_mb=watch.peak_bytes / 1e6,
        used_s=watch.used_s,
        others=others.count_cores(watch.used_s),
        answers={row.name: row.predictions for row in found},
        timeline=read_timeline(profile) if profile.exists() else None,
    )


def name_profile(output: pathlib.Path) -> pathlib.Path:
    """Where a job with clocks writes what they noted."""
    return output.with_suffix(".profile.json")


def _follow(process: "subprocess.Popen[bytes]") -> TreeWatch:
    """Looks at a process until it ends; it is killed where this one is told to end."""
    watch = TreeWatch(process.pid)
    try:
        while process.poll() is None:
            watch.look()
            time.sleep(_LOOK_S)
    finally:
        process.kill()
        process.wait()
    return watch


def find_steady(done_at: Sequence[float]) -> float:
    """Images per second, once it runs.

    The slope of the line through all points (when an image's scores were known, how many were known
    by then) from the first fifth on. Images of a batch are known at once, and streams finish their
    batches in pairs: a line through all is right where two points are not.

    Args:
        done_at: seconds, in order.

    Returns:
        NaN where all were known at one moment: a single batch has no rate.
    """
    times = np.asarray(done_at) - done_at[0]
    counts = np.arange(1, len(times) + 1)
    is_steady = times >= times[int(_STEADY_FROM * len(times))]
    times, counts = times[is_steady], counts[is_steady]
    spread = times - times.mean()
    if not spread.any():
        return float("nan")
    return float((spread * (counts - counts.mean())).sum() / (spread**2).sum())
