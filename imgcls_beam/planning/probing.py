"""Some images, really read, prepared and predicted: what they are, and how fast each stage is."""

import collections
import dataclasses
import functools
import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from imgcls_beam.classifying import Classifier
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, Outcome, PixelArray
from imgcls_beam.errors import Stage
from imgcls_beam.options import JobOptions
from imgcls_beam.preparing import Preparer, read_mode
from imgcls_beam.reading import read_images
from imgcls_beam.sandbox import box_pool, prepare_image

_ResultT = TypeVar("_ResultT")

_TIMED_S = 0.5
"""A stage that is done sooner is run again: what a clock says of so little is not its pace."""
_ONCE_S = 5.0
"""And one that is done sooner than that, once: what it does before its first image is not, either.
"""
_RUNS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the most of some numbers."""

    low: int
    median: int
    high: int

    @classmethod
    def of(cls, values: Iterable[int | None]) -> "Spread | None":
        """None where there are none."""
        known = [each for each in values if each is not None]
        if not known:
            return None
        return cls(min(known), round(statistics.median(known)), max(known))


@dataclasses.dataclass(frozen=True, slots=True)
class StageRate:
    """How fast a stage is by itself, on all cores that it uses.

    Attributes:
        stage: which.
        images_per_s: at best of some runs.
    """

    stage: Stage
    images_per_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """What some images are.

    Attributes:
        images: how many were looked at.
        ok: how many were predicted.
        width_px: of those that were understood so far, upright.
        height_px: likewise.
        size_bytes: encoded, of those that were read.
        formats: by Pillow's names, the most frequent first.
        modes: as they are in the file, by Pillow's names, of those that were prepared.
        errors: by `stage: code`, the most frequent first.
        first_errors: URI and message of the first of each.
        rates: in the order of the stages; a stage that no image reached has none.
        elapsed_s: one run of all stages.
        is_on_cpu: whether the model is.
        input_px: height and width of what the model is given; None where that is no picture.
    """

    images: int
    ok: int
    width_px: Spread | None
    height_px: Spread | None
    size_bytes: Spread | None
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    errors: Mapping[str, int]
    first_errors: Mapping[str, tuple[str, str]]
    rates: tuple[StageRate, ...]
    elapsed_s: float
    is_on_cpu: bool
    input_px: tuple[int, int] | None


def probe_images(
    refs: Sequence[ImageRef],
    job: JobOptions,
    preparer: Preparer,
    handler: Any,  # noqa: ANN401  whose import is heavy
    classifier: Classifier,
    clock_s: Callable[[], float] = time.perf_counter,
) -> Probe:
    """Reads, prepares and predicts images, one stage after the other.

    Args:
        refs: which.
        job: how they are read and decoded, and in batches of how many they are predicted.
        preparer: of the job's model.
        handler: an `OutcomeHandler` of the job's model, to which every image is a new one.
        classifier: what it has loaded.
        clock_s: times the stages, in seconds.
    """
    time_them = functools.partial(_time, clock_s=clock_s)
    encoded, read_s = time_them(lambda: read_images(refs, job.read))
    found = [each for each in encoded if isinstance(each, EncodedImage)]
    prepare = functools.partial(prepare_image, preparer=preparer, options=job.decode)
    prepared, prepare_s = time_them(lambda: list(box_pool().map(prepare, found)))
    pixels = [each for each in prepared if isinstance(each, PixelArray)]
    outcomes, predict_s = time_them(lambda: _predict(pixels, handler, classifier))
    counts = ((Stage.READ, refs, read_s), (Stage.PREPARE, found, prepare_s))
    stages = (*counts, (Stage.PREDICT, pixels, predict_s))
    failures = [each for each in (*encoded, *prepared, *outcomes) if isinstance(each, Failure)]
    return Probe(
        images=len(refs),
        ok=len(refs) - len(failures),
        **_measure(failures, pixels),
        modes=_count(map(_read_mode, found, prepared)),
        errors=_count(map(_code_of, failures)),
        first_errors={_code_of(each): (each.ref.uri, each.message) for each in failures[::-1]},
        rates=tuple(StageRate(stage, len(did) / max(s, 1e-9)) for stage, did, s in stages if did),
        elapsed_s=read_s + prepare_s + predict_s,
        is_on_cpu=classifier.describe().device == "cpu",
        input_px=_find_input(pixels),
    )


def _measure(failures: Sequence[Failure], pixels: Sequence[PixelArray]) -> dict[str, Any]:
    given = [*(each.facts for each in pixels), *(each.facts for each in failures)]
    facts = [each for each in given if each is not None]
    return {
        "width_px": Spread.of(each.width_px for each in facts),
        "height_px": Spread.of(each.height_px for each in facts),
        "size_bytes": Spread.of(each.size_bytes for each in facts),
        "formats": _count(each.format for each in facts),
    }


def _predict(
    pixels: Sequence[PixelArray],
    handler: Any,  # noqa: ANN401
    classifier: Classifier,
) -> list[Outcome]:
    size = handler.batch_elements_kwargs()["max_batch_size"]
    batches = (pixels[start : start + size] for start in range(0, len(pixels), size))
    results = (handler.run_inference(batch, classifier) for batch in batches)
    return [each.inference for each in itertools.chain.from_iterable(results)]


def _time(
    run: Callable[[], Sequence[_ResultT]], clock_s: Callable[[], float]
) -> tuple[Sequence[_ResultT], float]:
    """What the first run gives, and the seconds of the fastest."""
    took_s: list[float] = []
    first: Sequence[_ResultT] = ()
    while (
        not took_s
        or (len(took_s) == 1 and took_s[0] < _ONCE_S)
        or (sum(took_s) < _TIMED_S and len(took_s) < _RUNS)
    ):
        start_s = clock_s()
        result = run()
        took_s.append(clock_s() - start_s)
        first = result if len(took_s) == 1 else first
    return first, min(took_s)


def _read_mode(image: EncodedImage, prepared: PixelArray | Failure) -> str | None:
    return read_mode(image.data) if isinstance(prepared, PixelArray) else None


def _code_of(failure: Failure) -> str:
    return f"{failure.stage}: {failure.code}"


def _count(values: Iterable[str | None]) -> dict[str, int]:
    """The most frequent first, ties by name."""
    counts = collections.Counter(each for each in values if each is not None)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _find_input(pixels: Sequence[PixelArray]) -> tuple[int, int] | None:
    """Height and width of the first image as the model takes it."""
    values = pixels[0].inputs.get("pixel_values") if pixels else None
    if values is None or values.ndim != 3:
        return None
    height_px, width_px = values.shape[:2] if values.shape[2] == 3 else values.shape[1:]
    return int(height_px), int(width_px)
