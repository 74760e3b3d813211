"""The benchmark from its first picture to its last line."""

import dataclasses
import itertools
import pathlib
import sys

from bench import images, models, sinks, stages, table, ways
from bench.measuring import Measure, OthersWatch, Ratio, take_rounds
from imgcls_beam.handler import BATCH_SIZE_OF

_SEED = 0
_REPEAT_S = 1.0
"""A stage is repeated for so long in each round; once is enough for a look."""

_RATIOS = (
    Ratio("job / pipeline one by one, steady", "job, steady", ("pipeline, one by one, steady",)),
    Ratio("job / pipeline at its best, steady", "job, steady", ("pipeline, batches, steady",)),
    Ratio("job / pipeline one by one, whole", "job, whole", ("pipeline, one by one, whole",)),
    Ratio("job / pipeline at its best, whole", "job, whole", ("pipeline, batches, whole",)),
    Ratio("job / its forward alone", "job, steady", ("forward",)),
    Ratio("job / its prepare alone", "job, steady", ("prepare",)),
    Ratio("job / prepare, then forward", "job, steady", ("prepare", "forward")),
    Ratio("forward / bare forward", "forward", ("bare forward",)),
)
_SINK_RATIO = Ratio("our sink / Beam's", sinks.OURS, (sinks.BEAMS,))


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for on the command line.

    Attributes:
        images: how many.
        model: one of `models.NAMES`, or a folder.
        rounds: how often each figure is taken.
        batch_size: of the job; None for its default.
        quick: short repeats, and no 50,000-row sinks.
    """

    images: int
    model: str
    rounds: int
    batch_size: int | None
    quick: bool


def run(settings: Settings, folder: pathlib.Path) -> bool:
    """Makes what is needed in an empty folder, measures, prints.

    Returns:
        Whether the job's answers are the pipeline's.
    """
    _say("drawing the images, making the model")
    place = _make_place(settings, folder)
    _say("comparing the answers, and looking for the pipeline's best batch size")
    agreement, best = ways.check_answers(place), ways.find_best_batch_size(place)
    job_size = settings.batch_size or BATCH_SIZE_OF["cpu"]
    _write(table.describe_machine(), table.describe_agreement(agreement))
    _write(f"model     {settings.model}, float32 on the CPU; {settings.images} images")
    _write(f"batches   job {job_size}; pipeline {best}, its best of {ways.BATCH_SIZES}")
    measures = _make_measures(place, best, job_size, settings)
    watch = OthersWatch()
    samples = take_rounds(measures, settings.rounds, _say)
    _write(table.describe_others(watch.count_cores()), "")
    figures = list(itertools.chain.from_iterable(each.figures for each in measures))
    ratios = _RATIOS if settings.quick else (*_RATIOS, _SINK_RATIO)
    _write(table.describe_figures(figures, samples), "", table.describe_ratios(ratios, samples))
    return agreement.holds


def _make_place(settings: Settings, folder: pathlib.Path) -> ways.Place:
    paths = images.make_images(folder / "images", settings.images, _SEED)
    model = pathlib.Path(settings.model)
    if settings.model in models.NAMES:
        model = models.make_model(folder / "model", settings.model, _SEED)
    scratch = folder / "scratch"
    scratch.mkdir()
    return ways.Place(folder / "images", tuple(paths), model, scratch, settings.batch_size)


def _make_measures(
    place: ways.Place, best: int, job_size: int, settings: Settings
) -> list[Measure]:
    held = stages.run_stages(place.folder, place.model, job_size)
    at_least_s = 0.0 if settings.quick else _REPEAT_S
    of_stages = stages.make_measures(held, place.scratch, at_least_s)
    of_sinks = [] if settings.quick else sinks.make_measures(place.scratch)
    return [*ways.make_measures(place, best), *of_stages, *of_sinks]


def _say(what: str) -> None:
    sys.stderr.write(f"bench: {what}\n")
    sys.stderr.flush()


def _write(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
