"""The measures of the whole ways: transformers' pipeline beside our job."""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Callable

from bench import answers, peers
from bench.images import BLOCK
from bench.measuring import Figure, Measure, run_process, steady_rate, time_call

_SINGLE, _BATCHED, _JOB = "pipeline, one by one", "pipeline, batches", "job"

BATCH_SIZES = (1, 8, 16)


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where everything lies.

    Attributes:
        folder: the images.
        paths: of the images, in the order of their names.
        model: folder of the model.
        scratch: takes what the ways write.
        batch_size: of the job; None for its default.
    """

    folder: pathlib.Path
    paths: tuple[pathlib.Path, ...]
    model: pathlib.Path
    scratch: pathlib.Path
    batch_size: int | None

    @property
    def few(self) -> int:
        """About a third of the images: what the start is told from, see `steady_rate`."""
        third = max(1, len(self.paths) // 3)
        return third // BLOCK * BLOCK or third

    def pipeline(self, batch_size: int | None, count: int) -> pathlib.Path:
        """Runs the pipeline on the first images; returns the file of its answers."""
        output = self._make_output()
        peers.run_pipeline(self.paths[:count], self.model, batch_size, output)
        return output

    def job(self, count: int) -> pathlib.Path:
        """Runs our job on the first images; returns the folder of its output."""
        output = self._make_output()
        peers.run_job(self.folder, self.model, self.batch_size, count, output)
        return output

    def take_whole(self, way: Callable[[pathlib.Path], list[str]]) -> tuple[float, float]:
        """Runs a way as a process; gives images/s with start-up, and its peak in MB."""
        peak_file = self.scratch / "peak"
        process = run_process(
            ["-m", "bench.whole", str(peak_file), *way(self._make_output())], peak_file
        )
        return len(self.paths) / process.wall_s, process.peak_mb

    def job_arguments(self, output: pathlib.Path) -> list[str]:
        """For `bench.whole`: the job on all images."""
        images = len(self.paths)
        arguments = peers.job_arguments(self.folder, self.model, self.batch_size, images, output)
        return ["job", *arguments]

    def pipeline_arguments(self, batch_size: int | None, output: pathlib.Path) -> list[str]:
        """For `bench.whole`: the pipeline on all images."""
        size = "single" if batch_size is None else str(batch_size)
        images = str(len(self.paths))
        return ["pipeline", str(self.folder), str(self.model), images, size, str(output)]

    def _make_output(self) -> pathlib.Path:
        free = (self.scratch / f"out{number}" for number in itertools.count())
        return next(path for path in free if not path.exists())


def check_answers(place: Place) -> answers.Agreement:
    """Runs the pipeline and the job on all images and compares; warms both up."""
    theirs = peers.read_answers(place.pipeline(None, len(place.paths)))
    return answers.compare(peers.read_answers(place.job(len(place.paths))), theirs)


def find_best_batch_size(place: Place) -> int:
    """The batch size with which the pipeline is fastest here."""
    times_s = {
        size: time_call(functools.partial(place.pipeline, size, place.few)) for size in BATCH_SIZES
    }
    return min(times_s, key=lambda size: times_s[size])


def make_measures(place: Place, best: int) -> list[Measure]:
    """Each way steady, in this process; then each as a process of its own."""
    many, few = len(place.paths), place.few
    steady: dict[str, Callable[[int], object]] = {
        _SINGLE: functools.partial(place.pipeline, None),
        _BATCHED: functools.partial(place.pipeline, best),
        _JOB: place.job,
    }
    whole: dict[str, Callable[[pathlib.Path], list[str]]] = {
        _SINGLE: functools.partial(place.pipeline_arguments, None),
        _BATCHED: functools.partial(place.pipeline_arguments, best),
        _JOB: place.job_arguments,
    }
    return [
        *(_measure_steady(name, run, few, many) for name, run in steady.items()),
        *(_measure_whole(name, place, way) for name, way in whole.items()),
    ]


def _measure_steady(name: str, run: Callable[[int], object], few: int, many: int) -> Measure:
    figures = (Figure(f"{name}, steady", "images/s"),)
    return Measure(figures, lambda: (steady_rate(run, few, many),))


def _measure_whole(name: str, place: Place, way: Callable[[pathlib.Path], list[str]]) -> Measure:
    figures = (Figure(f"{name}, whole", "images/s"), Figure(f"{name}, peak memory", "MB"))
    return Measure(figures, functools.partial(place.take_whole, way))
