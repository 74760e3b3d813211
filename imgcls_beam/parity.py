"""Our scores compared with the reference's, and fast ones with exact ones, on one's own images.

The reference is transformers' `pipeline("image-classification")`, one image at a time, in the
dtype of our model and on its device. Both sides give every label, so that nothing hides below
top_k. Heavy: it loads the model twice.
"""

import dataclasses
import functools
import io
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, get_args

from PIL import Image

from imgcls_beam.classifying import ClassifierCard
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, Outcome, Prediction
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.models import fetch_model
from imgcls_beam.options import DecodeOptions, ReadOptions
from imgcls_beam.preparing.formats import FORMATS
from imgcls_beam.preparing.grey import is_deep_grey
from imgcls_beam.preparing.processor_loading import load_processor
from imgcls_beam.reading import read_images
from imgcls_beam.scoring import ModelSource, Preprocess
from imgcls_beam.spec import LabelScore

_BATCH_IMAGES = 16

TOLERANCE = 1e-5
"""Scores in float32 are equal within this; labels whose scores lie closer may change places."""


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """One image, both ways.

    Attributes:
        uri: of the image.
        difference: the largest difference of a score, label by label; None where a side gave none.
        is_same_order: whether the labels are in the same order, but for scores within
            `TOLERANCE` of each other; None where a side gave none.
        ours: our failure, as `stage: code`; None where we answered.
        theirs: the class of the error that the reference raised, or that there was nothing to show
            it; None where it answered.
        mode: Pillow's mode of the image as it is stored; None where Pillow cannot open it.
    """

    uri: str
    difference: float | None = None
    is_same_order: bool | None = None
    ours: str | None = None
    theirs: str | None = None
    mode: str | None = None

    @property
    def is_equal(self) -> bool:
        """Whether both gave the same scores in the same order, or neither an answer."""
        if self.ours is not None or self.theirs is not None:
            return self.ours is not None and self.theirs is not None
        return bool(self.is_same_order) and (self.difference or 0.0) <= TOLERANCE

    @property
    def is_deep_grey(self) -> bool:
        """Whether it is grey of 16 or 32 bits: scaled here, cut off at 255 by the reference."""
        return self.mode is not None and is_deep_grey(self.mode)

    @property
    def is_different(self) -> bool:
        """Whether both answered, and their answers differ without a known reason."""
        return self.difference is not None and not (self.is_equal or self.is_deep_grey)


@dataclasses.dataclass(frozen=True, slots=True)
class Shift:
    """How an image's scores move where it is prepared by `preprocess=fast`.

    Attributes:
        uri: of the image.
        difference: the largest difference of a score, label by label.
        is_same_top: whether the first label stays.
    """

    uri: str
    difference: float
    is_same_top: bool


def compare_with_reference(
    listed: Sequence[ImageRef | Failure],
    options: ModelOptions,
    source: ModelSource,
    read: ReadOptions,
    decode: DecodeOptions,
) -> list[Comparison]:
    """Classifies images both ways; one comparison each, in order.

    The job's activation is used; its top_k is not, for every label is compared. The limits of
    decoding hold on our side only, and our images are prepared exactly, whatever `decode` says.

    Raises:
        ModelError: the model cannot be loaded.
    """
    from imgcls_beam.outcome_handler import OutcomeHandler  # heavy

    decode = dataclasses.replace(decode, preprocess="exact")
    handler = OutcomeHandler(options, top_k=None, source=source, decode=decode)
    model = handler.load_model()
    card = model.describe()
    reference = _load_reference(source, card)
    applied = options.function_to_apply
    ask = functools.partial(reference, function_to_apply=applied, top_k=len(card.labels))
    comparisons: list[Comparison] = []
    for start in range(0, len(listed), _BATCH_IMAGES):
        encoded = read_images(listed[start : start + _BATCH_IMAGES], read)
        results = handler.run_inference(encoded, model)
        pairs = zip(encoded, results, strict=True)
        comparisons += [_compare(each, result.inference, ask) for each, result in pairs]
    return comparisons


def compare_fast(
    listed: Sequence[ImageRef | Failure],
    options: ModelOptions,
    source: ModelSource,
    read: ReadOptions,
    decode: DecodeOptions,
) -> list[Shift]:
    """Classifies images prepared both ways; one shift for each that is answered, in order.

    Raises:
        ModelError: the model cannot be loaded.
    """
    from imgcls_beam.outcome_handler import OutcomeHandler  # heavy

    exact, fast = (
        OutcomeHandler(
            options,
            top_k=None,
            source=source,
            decode=dataclasses.replace(decode, preprocess=preprocess),
        )
        for preprocess in get_args(Preprocess)
    )
    model = exact.load_model()
    shifts: list[Shift] = []
    for start in range(0, len(listed), _BATCH_IMAGES):
        encoded = read_images(listed[start : start + _BATCH_IMAGES], read)
        pairs = zip(*(each.run_inference(encoded, model) for each in (exact, fast)), strict=True)
        shifts += [
            _find_shift(a.inference, b.inference)
            for a, b in pairs
            if isinstance(a.inference, Prediction) and isinstance(b.inference, Prediction)
        ]
    return shifts


def _find_shift(exact: Prediction, fast: Prediction) -> Shift:
    # Two classes of a model may have one label; they stay apart by their scores.
    scores = (sorted((each.label, each.score) for each in one.labels) for one in (exact, fast))
    return Shift(
        exact.ref.uri,
        max(abs(a - b) for (_, a), (_, b) in zip(*scores, strict=True)),
        exact.labels[0].label == fast.labels[0].label,
    )


def _load_reference(source: ModelSource, card: ClassifierCard) -> Any:  # noqa: ANN401  untyped
    from transformers import pipeline

    return pipeline(
        "image-classification",
        model=str(fetch_model(source)),
        # With torchvision installed it would take the other backend, which differs by a level.
        image_processor=load_processor(source),
        device=card.device,
        dtype=card.dtype,
    )


def _compare(
    encoded: EncodedImage | Failure, outcome: Outcome, ask: Callable[..., Any]
) -> Comparison:
    uri = outcome.ref.uri
    ours = f"{outcome.stage}: {outcome.code}" if isinstance(outcome, Failure) else None
    if isinstance(encoded, Failure):  # there are no bytes to show to the reference
        return Comparison(uri, ours=ours, theirs="(not read)")
    mode, answer = _ask(encoded.data, ask)
    if isinstance(answer, str):
        return Comparison(uri, ours=ours, theirs=answer, mode=mode)
    if isinstance(outcome, Failure):
        return Comparison(uri, ours=ours, mode=mode)
    theirs = [LabelScore(each["label"], each["score"]) for each in answer]
    return Comparison(
        uri,
        difference=max(abs(a.score - b.score) for a, b in zip(outcome.labels, theirs, strict=True)),
        is_same_order=_is_same_order(outcome.labels, theirs),
        mode=mode,
    )


def _ask(data: bytes, ask: Callable[..., Any]) -> tuple[str | None, list[dict[str, Any]] | str]:
    """The image's mode, and the reference's answer or the class of what it raised."""
    mode = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=_list_formats())
            mode = image.mode
            return mode, ask(image)
    except Exception as error:  # noqa: BLE001  Pillow and a processor raise anything on bad images
        return mode, type(error).__name__


def _list_formats() -> list[str]:
    """Those that are decoded here: Pillow would try 44, one of which starts another program."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _is_same_order(ours: Sequence[LabelScore], theirs: Sequence[LabelScore]) -> bool:
    """Whether each place holds the same label, or one whose score is as good as equal."""
    score_of = {each.label: each.score for each in theirs}
    return len(ours) == len(theirs) and all(
        a.label == b.label or abs(score_of.get(a.label, math.inf) - b.score) <= TOLERANCE
        for a, b in zip(ours, theirs, strict=True)
    )
