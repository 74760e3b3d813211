"""A batch of pixels → one outcome each: what the model says of an image, ranked."""

import collections
import dataclasses
from collections.abc import Hashable, Sequence

import numpy as np

from imgcls_beam.asked_images import AskedImages, AskedModel
from imgcls_beam.classifying import Best, Classifier, Logits, RankSpec
from imgcls_beam.elements import Failure, Outcome, PixelArray, Prediction
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.health import Health
from imgcls_beam.ranking import Ranking, choose_parameters, rank_images
from imgcls_beam.scoring import AppliedParameters, Scoring
from imgcls_beam.shared_answers import Answer, Answers
from imgcls_beam.spec import LabelScore

_NON_FINITE = "the model gave a score that is NaN or infinite"

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
    return predict_begun(begin_images(images, classifier, scoring, health, answers))


@dataclasses.dataclass(frozen=True, slots=True)
class BegunImages:
    """A batch of which it is settled what the model is asked; see `AskedImages`.

    Attributes:
        images: all of them.
        asked: the question.
        applied: the parameters of each.
        labels: of the model.
        scoring: the model, and the job's parameters.
        health: of the model.
    """

    images: Sequence[PixelArray]
    asked: AskedImages
    applied: Sequence[AppliedParameters]
    labels: tuple[str, ...]
    scoring: Scoring
    health: Health


def begin_images(
    images: Sequence[PixelArray],
    classifier: Classifier,
    scoring: Scoring,
    health: Health,
    answers: Answers | None = None,
) -> BegunImages:
    """Begins to predict a batch; takes what `predict_images` takes.

    Two that are begun one after the other may be predicted at once, and their outcomes are the
    same. Each has to be predicted: others wait for its answers.
    """
    card = classifier.describe()
    applied = [
        choose_parameters(
            image.ref.parameters, scoring.top_k, scoring.function_to_apply, card.function_to_apply
        )
        for image in images
    ]
    wanted = _find_wanted(applied, keeps_logits=answers is not None) if card.ranks else None
    asked = AskedImages(images, AskedModel(classifier, wanted, health), answers)
    return BegunImages(images, asked, applied, card.labels, scoring, health)


def predict_begun(begun: BegunImages) -> list[Outcome]:
    """The outcomes of a batch that was begun, one each, in order.

    Raises:
        SickModelError: the model fails, and no image is to blame.
    """
    images, found = begun.images, begun.asked.ask()
    ranked = _rank_answers(found, begun.applied, begun.labels)
    rows = zip(images, found, ranked, strict=True)
    outcomes = [_to_outcome(image, answer, begun.scoring, *each) for image, answer, each in rows]
    _note(images, outcomes, begun.health)
    return outcomes


def _note(images: Sequence[PixelArray], outcomes: Sequence[Outcome], health: Health) -> None:
    codes = [each.code if isinstance(each, Failure) else None for each in outcomes]
    contents = [each.facts.sha256 if each.facts else id(each) for each in images]
    failed: dict[Hashable, bool] = {
        content: code is not None for content, code in zip(contents, codes, strict=True)
    }
    health.note(failed, is_odd=FailureCode.NON_FINITE_SCORE in codes)


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
        error = ImageError(FailureCode.NON_FINITE_SCORE, _NON_FINITE)
        failure = Failure.from_error(image.ref, error, facts=image.facts)
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
