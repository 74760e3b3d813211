"""A batch of pixels → one outcome each, even if the model fails on one of them.

A batch whose forward pass raises is halved until the image that causes it is alone. Before that
image gets a failure, the model is asked about a blank one: if it fails there too, the worker is
sick, not the image, and the error is raised for the runner to retry elsewhere.
"""

import collections
import dataclasses
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from imgcls_beam.classifying import Classifier, ClassifierCard, ForwardPass, Logits
from imgcls_beam.elements import Failure, ModelInputs, Outcome, PixelArray, Prediction
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.ranking import Ranking, choose_parameters, rank_images
from imgcls_beam.scoring import AppliedParameters, Execution, Scoring
from imgcls_beam.shared_answers import Answer, Answers

_NON_FINITE = "the model gave a score that is NaN or infinite"
_OUT_OF_MEMORY = "the device ran out of memory on this image alone"
_FAILED = "the model raised an error on this image alone, and not on a blank one"


def predict_images(
    images: Sequence[PixelArray],
    classifier: Classifier,
    scoring: Scoring,
    draw_blank: Callable[[], ModelInputs],
    answers: Answers | None = None,
) -> list[Outcome]:
    """Predicts a batch; one outcome each, in order.

    With `answers` images of the same bytes are predicted once, and each has a rank of its own: its
    parameters may be others.

    Args:
        images: of any mix of shapes; each shape is a forward pass of its own.
        classifier: the model.
        scoring: the model, and the job's parameters; an image's own override them.
        draw_blank: inputs of a blank image that the model is known to take.
        answers: what the model said of earlier images; None to ask it about each.

    Raises:
        Exception: whatever the model raises on a blank image.
    """
    card = classifier.describe()
    if answers is None:
        found = _answer_each(images, classifier, draw_blank)
    else:
        found = _answer_shared(images, classifier, draw_blank, answers)
    ranked = _rank_answers(images, found, card, scoring)
    return [
        _to_outcome(image, answer, scoring, *each)
        for image, answer, each in zip(images, found, ranked, strict=True)
    ]


def _rank_answers(
    images: Sequence[PixelArray],
    found: "Sequence[Answer | Failure]",
    card: ClassifierCard,
    scoring: Scoring,
) -> list[tuple[AppliedParameters, Ranking | None]]:
    """What applies to each image, and its rank: None for a failure, and where there is none."""
    applied = [
        choose_parameters(
            image.ref.parameters, scoring.top_k, scoring.function_to_apply, card.function_to_apply
        )
        for image in images
    ]
    groups: dict[AppliedParameters, list[tuple[int, Logits]]] = collections.defaultdict(list)
    for index, answer in enumerate(found):
        if isinstance(answer, Answer):
            groups[applied[index]].append((index, answer.logits))
    ranked: dict[int, Ranking | None] = {}
    for asked, group in groups.items():
        indices, logits = zip(*group, strict=True)
        ranked |= zip(indices, rank_images(np.stack(logits), card.labels, asked), strict=True)
    return [(asked, ranked.get(index)) for index, asked in enumerate(applied)]


def _answer_shared(
    images: Sequence[PixelArray],
    classifier: Classifier,
    draw_blank: Callable[[], ModelInputs],
    answers: Answers,
) -> "list[Answer | Failure]":
    found: dict[int, Answer | Failure] = {}
    first: dict[str | int, int] = {}
    for i, image in enumerate(images):
        known = answers.find(image)
        if known is not None:
            found[i] = known
        else:
            first.setdefault(image.facts.sha256 if image.facts else i, i)
    asked = list(first.values())
    got = _answer_each([images[i] for i in asked], classifier, draw_blank)
    for i, answer in zip(asked, got, strict=True):
        found[i] = answer
        if isinstance(answer, Answer):
            answers.add(images[i], answer)
    for i, image in enumerate(images):
        if i not in found and image.facts is not None:
            answer = found[first[image.facts.sha256]]
            is_failure = isinstance(answer, Failure)
            found[i] = dataclasses.replace(answer, ref=image.ref) if is_failure else answer
    return [found[i] for i in range(len(images))]


def _answer_each(
    images: Sequence[PixelArray],
    classifier: Classifier,
    draw_blank: Callable[[], ModelInputs],
) -> "list[Answer | Failure]":
    groups: dict[Hashable, list[int]] = collections.defaultdict(list)
    for i, image in enumerate(images):
        shapes = ((name, each.shape, each.dtype.str) for name, each in image.inputs.items())
        groups[frozenset(shapes)].append(i)
    found: dict[int, Answer | Failure] = {}
    for indices in groups.values():
        answers = _answer_isolated([images[i] for i in indices], classifier, draw_blank)
        found |= zip(indices, answers, strict=True)
    return [found[i] for i in range(len(images))]


def _answer_isolated(
    images: Sequence[PixelArray],
    classifier: Classifier,
    draw_blank: Callable[[], ModelInputs],
) -> "list[Answer | Failure]":
    answer = _try_classify([image.inputs for image in images], classifier)
    # Outside the except block: the failed pass's tensors live as long as its traceback.
    if isinstance(answer, ForwardPass):
        execution = _to_execution(answer, classifier.describe())
        rows = zip(images, answer.logits, strict=True)
        return [Answer(logits, execution, image.ref) for image, logits in rows]
    if len(images) == 1:
        return [_blame(images[0], answer, classifier, draw_blank)]
    middle = len(images) // 2
    first = _answer_isolated(images[:middle], classifier, draw_blank)
    return first + _answer_isolated(images[middle:], classifier, draw_blank)


def _try_classify(batch: Sequence[ModelInputs], classifier: Classifier) -> ForwardPass | Exception:
    try:
        return classifier.classify(batch)
    except Exception as error:  # noqa: BLE001  a model may raise anything on one image of a batch
        return error.with_traceback(None)


def _blame(
    image: PixelArray,
    error: Exception,
    classifier: Classifier,
    draw_blank: Callable[[], ModelInputs],
) -> Failure:
    """The image's failure, once the model has shown that it is well.

    Raises:
        RuntimeError: the model fails on a blank image too.
    """
    if isinstance(_try_classify([draw_blank()], classifier), Exception):
        raise RuntimeError("the model fails on a blank image too: this worker is sick") from error
    # Torch's error by its name: this module is imported where torch need not be.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return _to_failure(image, FailureCode.OUT_OF_MEMORY, _OUT_OF_MEMORY, retryable=True)
    return _to_failure(image, FailureCode.INFERENCE_FAILED, _FAILED)


def _to_failure(
    image: PixelArray, code: FailureCode, message: str, *, retryable: bool = False
) -> Failure:
    error = ImageError(code, message, retryable=retryable)
    return Failure.from_error(image.ref, error, facts=image.facts)


def _to_outcome(
    image: PixelArray,
    answer: Answer | Failure,
    scoring: Scoring,
    applied: AppliedParameters,
    ranking: Ranking | None,
) -> Outcome:
    if isinstance(answer, Failure):
        return dataclasses.replace(answer, scoring=scoring)
    if ranking is None:
        failure = _to_failure(image, FailureCode.NON_FINITE_SCORE, _NON_FINITE)
        return dataclasses.replace(failure, scoring=scoring)
    is_own = answer.ref is image.ref
    execution = answer.execution
    return Prediction(
        ref=image.ref,
        labels=ranking.labels,
        margin=ranking.margin,
        applied=applied,
        execution=execution if is_own else dataclasses.replace(execution, inference_ms=0.0),
        scoring=scoring,
        facts=image.facts,
        prepare_ms=image.prepare_ms,
        shared_with=None if is_own else answer.ref.uri,
    )


def _to_execution(origin: ForwardPass, card: ClassifierCard) -> Execution:
    batch_size = len(origin.logits)
    return Execution(
        device=card.device,
        dtype=card.dtype,
        batch_size=batch_size,
        inference_ms=origin.elapsed_ms / batch_size,
        finished_at=origin.finished_at,
        engine=origin.engine or card.engine,
    )
