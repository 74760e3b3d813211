"""A batch of pixels → one outcome each, even if the model fails on one of them.

A batch whose forward pass raises is halved until the image that causes it is alone. Before that
image gets a failure, the model is asked about pictures that it could score: if it fails there too,
the worker is sick, not the image, and the error is raised for the runner to retry elsewhere.
"""

import collections
import dataclasses
from collections.abc import Hashable, Sequence

import numpy as np

from imgcls_beam.classifying import (
    Best,
    Classifier,
    ClassifierCard,
    ForwardPass,
    Logits,
    RankedPass,
    RankSpec,
)
from imgcls_beam.classifying.watchdog import WATCHDOG
from imgcls_beam.elements import Failure, ModelInputs, Outcome, PixelArray, Prediction
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.health import Health
from imgcls_beam.ranking import Ranking, choose_parameters, rank_images
from imgcls_beam.scoring import AppliedParameters, Execution, Scoring
from imgcls_beam.shared_answers import Answer, Answers
from imgcls_beam.spec import LabelScore

_NON_FINITE = "the model gave a score that is NaN or infinite"
_OUT_OF_MEMORY = "the device ran out of memory on this image alone"
_FAILED = "the model raised an error on this image alone, and not on others"

_MOST_RANKED = 100
"""Labels of an image that a device ranks; where more are wanted the logits are as soon copied."""


def predict_images(
    images: Sequence[PixelArray],
    classifier: Classifier,
    scoring: Scoring,
    health: Health,
    answers: Answers | None = None,
) -> list[Outcome]:
    """Predicts a batch; one outcome each, in order.

    With `answers` images of the same bytes are predicted once, and each has a rank of its own: its
    parameters may be others.

    Args:
        images: of any mix of shapes; each shape is a forward pass of its own.
        classifier: the model.
        scoring: the model, and the job's parameters; an image's own override them.
        health: of this model; is told what became of the images.
        answers: what the model said of earlier images; None to ask it about each.

    Raises:
        SickModelError: the model fails, and no image is to blame.
    """
    card = classifier.describe()
    applied = [
        choose_parameters(
            image.ref.parameters, scoring.top_k, scoring.function_to_apply, card.function_to_apply
        )
        for image in images
    ]
    wanted = _find_wanted(applied, keeps_logits=answers is not None) if card.ranks else None
    model = _Model(classifier, wanted)
    if answers is None:
        found = _answer_each(images, model, health)
    else:
        found = _answer_shared(images, model, health, answers)
    ranked = _rank_answers(found, applied, card.labels)
    rows = zip(images, found, ranked, strict=True)
    outcomes = [_to_outcome(image, answer, scoring, *each) for image, answer, each in rows]
    _note(images, outcomes, health)
    return outcomes


def _note(images: Sequence[PixelArray], outcomes: Sequence[Outcome], health: Health) -> None:
    codes = [each.code if isinstance(each, Failure) else None for each in outcomes]
    contents = [each.facts.sha256 if each.facts else id(each) for each in images]
    failed: dict[Hashable, bool] = {
        content: code is not None for content, code in zip(contents, codes, strict=True)
    }
    health.note(failed, is_odd=FailureCode.NON_FINITE_SCORE in codes)


@dataclasses.dataclass(frozen=True, slots=True)
class _Model:
    """A model, and what its device is to make of a batch's logits: None for the logits."""

    classifier: Classifier
    wanted: RankSpec | None

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass | RankedPass:
        with WATCHDOG.watch():
            if self.wanted is None:
                return self.classifier.classify(batch)
            return self.classifier.rank(batch, self.wanted)


def _find_wanted(applied: Sequence[AppliedParameters], *, keeps_logits: bool) -> RankSpec | None:
    """What does for all images of a batch, if they have one activation and want few labels."""
    functions = {each.function_to_apply for each in applied}
    top_ks = [each.top_k for each in applied if each.top_k is not None]
    if len(functions) != 1 or len(top_ks) < len(applied) or max(top_ks) > _MOST_RANKED:
        return None
    return RankSpec(functions.pop(), max(top_ks), keeps_logits)


def _rank_answers(
    found: "Sequence[Answer | Failure]",
    applied: Sequence[AppliedParameters],
    labels: tuple[str, ...],
) -> list[tuple[AppliedParameters, Ranking | None]]:
    """What applies to each image, and its rank: None for a failure, and where there is none."""
    groups: dict[AppliedParameters, list[tuple[int, Logits]]] = collections.defaultdict(list)
    ranked: dict[int, Ranking | None] = {}
    for index, (answer, asked) in enumerate(zip(found, applied, strict=True)):
        if isinstance(answer, Failure):
            continue
        if answer.best is not None and _serves(answer.best.wanted, asked):
            ranked[index] = _to_ranking(answer.best, labels, asked)
        elif answer.logits is not None:
            groups[asked].append((index, answer.logits))
    for asked, group in groups.items():
        indices, logits = zip(*group, strict=True)
        ranked |= zip(indices, rank_images(np.stack(logits), labels, asked), strict=True)
    return [(asked, ranked.get(index)) for index, asked in enumerate(applied)]


def _serves(wanted: RankSpec, asked: AppliedParameters) -> bool:
    """Whether what was ranked for one image does for another one's parameters."""
    is_same = wanted.function_to_apply == asked.function_to_apply
    return is_same and asked.top_k is not None and asked.top_k <= wanted.top_k


def _to_ranking(best: Best, labels: tuple[str, ...], asked: AppliedParameters) -> Ranking:
    pairs = list(zip(best.classes, best.scores, strict=True))[: asked.top_k]
    return Ranking(tuple(LabelScore(labels[index], score) for index, score in pairs), best.margin)


def _answer_shared(
    images: Sequence[PixelArray],
    model: _Model,
    health: Health,
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
    got = _answer_each([images[i] for i in asked], model, health)
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
    model: _Model,
    health: Health,
) -> "list[Answer | Failure]":
    groups: dict[Hashable, list[int]] = collections.defaultdict(list)
    for i, image in enumerate(images):
        shapes = ((name, each.shape, each.dtype.str) for name, each in image.inputs.items())
        groups[frozenset(shapes)].append(i)
    found: dict[int, Answer | Failure] = {}
    for indices in groups.values():
        answers = _answer_isolated([images[i] for i in indices], model, health)
        found |= zip(indices, answers, strict=True)
    return [found[i] for i in range(len(images))]


def _answer_isolated(
    images: Sequence[PixelArray],
    model: _Model,
    health: Health,
) -> "list[Answer | Failure]":
    answer = _try_classify([image.inputs for image in images], model)
    # Outside the except block: the failed pass's tensors live as long as its traceback.
    if not isinstance(answer, Exception):
        return _to_answers(images, answer, model.classifier.describe())
    if len(images) == 1:
        return [_blame(images[0], answer, model, health)]
    middle = len(images) // 2
    first = _answer_isolated(images[:middle], model, health)
    return first + _answer_isolated(images[middle:], model, health)


def _to_answers(
    images: Sequence[PixelArray], answer: ForwardPass | RankedPass, card: ClassifierCard
) -> "list[Answer | Failure]":
    execution = _to_execution(answer, card)
    best = answer.best if isinstance(answer, RankedPass) else [None] * len(images)
    rows = zip(images, answer.logits, best, strict=True)
    return [Answer(logits, execution, image.ref, ranked) for image, logits, ranked in rows]


def _try_classify(
    batch: Sequence[ModelInputs], model: _Model
) -> ForwardPass | RankedPass | Exception:
    try:
        return model.classify(batch)
    except Exception as error:  # noqa: BLE001  a model may raise anything on one image of a batch
        return error.with_traceback(None)


def _blame(
    image: PixelArray,
    error: Exception,
    model: _Model,
    health: Health,
) -> Failure:
    """The image's failure, once the model has shown that it is well.

    Raises:
        SickModelError: it fails on pictures that it could score, too.
    """
    health.check()
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
        sandbox=image.sandbox,
    )


def _to_execution(origin: ForwardPass | RankedPass, card: ClassifierCard) -> Execution:
    batch_size = len(origin.logits)
    return Execution(
        device=card.device,
        dtype=card.dtype,
        batch_size=batch_size,
        inference_ms=origin.elapsed_ms / batch_size,
        finished_at=origin.finished_at,
        engine=origin.engine or card.engine,
    )
