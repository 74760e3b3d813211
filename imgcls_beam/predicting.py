"""A batch of pixels → one outcome each, whatever one of them does to the model.

A forward pass that raises is halved until the image that did it stands alone. Before that image is
blamed, the model is asked about a blank one: if it fails there too, the worker is sick, not the
image, and the error is raised for the runner to retry elsewhere.
"""

import dataclasses
import datetime
import time
from collections.abc import Sequence

import numpy as np

from imgcls_beam.classifying import Classifier, ClassifierCard, Logits
from imgcls_beam.elements import Execution, Failure, Outcome, PixelArray, Pixels, Prediction
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.ranking import choose_parameters, rank
from imgcls_beam.spec import FunctionToApply

_NON_FINITE = "the model gave a score that is NaN or infinite"
_OUT_OF_MEMORY = "the device ran out of memory on this image alone"
_FAILED = "the model raised an error on this image alone, and not on a blank one"


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What the job asks of every image that does not ask for itself.

    Attributes:
        top_k: None for every label.
        function_to_apply: None leaves it to the model.
    """

    top_k: int | None
    function_to_apply: FunctionToApply | None


@dataclasses.dataclass(frozen=True, slots=True)
class _Pass:
    """One forward pass that worked: logits float32 (N, C)."""

    logits: Logits
    elapsed_ms: float
    finished_at: datetime.datetime


def predict_images(
    images: Sequence[PixelArray], classifier: Classifier, question: Question
) -> list[Outcome]:
    """Predicts a batch; one outcome each, in order.

    Args:
        images: of any mix of shapes; each shape is a forward pass of its own.
        classifier: the model.
        question: the job's parameters; an image's own override them.

    Raises:
        Exception: whatever the model raises on a blank image.
    """
    card = classifier.describe()
    outcomes: dict[int, Outcome] = {}
    for indices in _group_by_shape(images):
        group = [images[i] for i in indices]
        found = _predict_isolated(group, classifier, card, question)
        outcomes.update(zip(indices, found, strict=True))
    return [outcomes[i] for i in range(len(images))]


def _group_by_shape(images: Sequence[PixelArray]) -> list[list[int]]:
    groups: dict[tuple[tuple[int, ...], str], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault((image.pixels.shape, image.pixels.dtype.str), []).append(index)
    return list(groups.values())


def _predict_isolated(
    images: Sequence[PixelArray], classifier: Classifier, card: ClassifierCard, question: Question
) -> list[Outcome]:
    answer = _try_classify([image.pixels for image in images], classifier)
    # Outside the except block: the failed pass's tensors live as long as its traceback.
    if isinstance(answer, _Pass):
        return _to_outcomes(images, answer, card, question)
    if len(images) == 1:
        return [_blame(images[0], answer, classifier)]
    middle = len(images) // 2
    return [
        outcome
        for half in (images[:middle], images[middle:])
        for outcome in _predict_isolated(half, classifier, card, question)
    ]


def _try_classify(batch: Sequence[Pixels], classifier: Classifier) -> _Pass | Exception:
    start_s = time.perf_counter()
    try:
        logits = classifier.classify(batch)
    except Exception as error:  # noqa: BLE001  a model may raise anything on one image of a batch
        return error.with_traceback(None)
    elapsed_ms = (time.perf_counter() - start_s) * 1e3
    return _Pass(logits, elapsed_ms, datetime.datetime.now(datetime.UTC))


def _blame(image: PixelArray, error: Exception, classifier: Classifier) -> Failure:
    """The image's failure, once the model has shown that it is well.

    Raises:
        RuntimeError: the model fails on a blank image too.
    """
    if isinstance(_try_classify([np.zeros_like(image.pixels)], classifier), Exception):
        raise RuntimeError("the model fails on a blank image too: this worker is sick") from error
    if _is_out_of_memory(error):
        blame = ImageError(FailureCode.OUT_OF_MEMORY, _OUT_OF_MEMORY, retryable=True)
    else:
        blame = ImageError(FailureCode.INFERENCE_FAILED, _FAILED)
    return Failure.from_error(image.ref, blame, facts=image.facts)


def _is_out_of_memory(error: Exception) -> bool:
    """Torch's error by its name: this module is imported where torch need not be."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _to_outcomes(
    images: Sequence[PixelArray], answer: _Pass, card: ClassifierCard, question: Question
) -> list[Outcome]:
    execution = Execution(
        device=card.device,
        dtype=card.dtype,
        batch_size=len(images),
        inference_ms=answer.elapsed_ms / len(images),
        finished_at=answer.finished_at,
    )
    pairs = zip(images, answer.logits, strict=True)
    return [_to_outcome(image, logits, card, question, execution) for image, logits in pairs]


def _to_outcome(
    image: PixelArray,
    logits: Logits,
    card: ClassifierCard,
    question: Question,
    execution: Execution,
) -> Outcome:
    applied = choose_parameters(
        image.ref.parameters, question.top_k, question.function_to_apply, card.function_to_apply
    )
    ranking = rank(logits, card.labels, applied)
    if ranking is None:
        error = ImageError(FailureCode.NON_FINITE_SCORE, _NON_FINITE)
        return Failure.from_error(image.ref, error, facts=image.facts)
    return Prediction(
        ref=image.ref,
        labels=ranking.labels,
        margin=ranking.margin,
        applied=applied,
        execution=execution,
        facts=image.facts,
        prepare_ms=image.prepare_ms,
    )
