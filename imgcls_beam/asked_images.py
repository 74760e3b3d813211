"""A batch of pixels → what the model says of each image, even if it fails on one of them.

A batch whose forward pass raises is halved until the image that causes it is alone. Before that
image gets a failure, the model is asked about pictures that it could score: if it fails there too,
the worker is sick, not the image, and the error is raised for the runner to retry elsewhere.
"""

import collections
import dataclasses
from collections.abc import Hashable, Sequence

from imgcls_beam.classifying import Classifier, ClassifierCard, ForwardPass, RankedPass, RankSpec
from imgcls_beam.classifying.watchdog import WATCHDOG
from imgcls_beam.elements import Failure, ModelInputs, PixelArray
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.health import Health
from imgcls_beam.scoring import Execution
from imgcls_beam.shared_answers import Answer, Answers, Claim

_OUT_OF_MEMORY = "the device ran out of memory on this image alone"
_FAILED = "the model raised an error on this image alone, and not on others"


@dataclasses.dataclass(frozen=True, slots=True)
class AskedModel:
    """A model, and what is wanted of it.

    Attributes:
        classifier: the model.
        wanted: what its device is to make of a batch's logits: None for the logits.
        health: of the model.
    """

    classifier: Classifier
    wanted: RankSpec | None
    health: Health

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass | RankedPass:
        """One forward pass, which is watched."""
        with WATCHDOG.watch():
            if self.wanted is None:
                return self.classifier.classify(batch)
            return self.classifier.rank(batch, self.wanted)


class AskedImages:
    """A batch that a model is about to be asked about.

    With `answers` images of the same bytes are asked about once. Which batch asks is settled when
    this is made: batches that are made in order may be asked about at once, and their answers are
    what they would be one after the other. Each has to be asked: others wait for its answers.
    """

    def __init__(
        self, images: Sequence[PixelArray], model: AskedModel, answers: Answers | None
    ) -> None:
        """Settles what is asked.

        Args:
            images: of any mix of shapes; each shape is a forward pass of its own.
            model: which is asked.
            answers: what it said of earlier images; None to ask it about each.
        """
        self._images, self._model, self._answers = images, model, answers
        self._claim = None if answers is None else answers.claim(dict(enumerate(images)))

    def ask(self) -> list[Answer | Failure]:
        """Asks the model, once; one answer each, in order.

        Raises:
            SickModelError: the model fails, and no image is to blame.
        """
        if self._answers is None or self._claim is None:
            return _ask_each(self._images, self._model)
        found: dict[int, Answer | Failure] = {}
        claim = self._claim
        while True:
            found |= self._ask_claimed(self._answers, claim)
            places = range(len(self._images))
            left = {place: self._images[place] for place in places if place not in found}
            if not left:
                return [found[place] for place in places]
            # Another batch asks about these. Where it got no answer this one asks, too.
            claim = self._answers.claim(left, waits=True)

    def _ask_claimed(self, answers: Answers, claim: Claim) -> dict[int, Answer | Failure]:
        found: dict[int, Answer | Failure] = dict(claim.known)
        try:
            got = _ask_each([self._images[place] for place in claim.asked], self._model)
            for place, answer in zip(claim.asked, got, strict=True):
                found[place] = answer
                if isinstance(answer, Answer):
                    answers.add(self._images[place], answer)
        finally:
            answers.release(claim)
        for place, first in claim.copies.items():
            answer = found[first]
            if isinstance(answer, Failure):
                answer = dataclasses.replace(answer, ref=self._images[place].ref)
            found[place] = answer
        return found


def _ask_each(images: Sequence[PixelArray], model: AskedModel) -> list[Answer | Failure]:
    groups: dict[Hashable, list[int]] = collections.defaultdict(list)
    for i, image in enumerate(images):
        shapes = ((name, each.shape, each.dtype.str) for name, each in image.inputs.items())
        groups[frozenset(shapes)].append(i)
    found: dict[int, Answer | Failure] = {}
    for indices in groups.values():
        answers = _ask_isolated([images[i] for i in indices], model)
        found |= zip(indices, answers, strict=True)
    return [found[i] for i in range(len(images))]


def _ask_isolated(images: Sequence[PixelArray], model: AskedModel) -> list[Answer | Failure]:
    answer = _try_classify([image.inputs for image in images], model)
    # Outside the except block: the failed pass's tensors live as long as its traceback.
    if not isinstance(answer, Exception):
        return _to_answers(images, answer, model.classifier.describe())
    if len(images) == 1:
        return [_blame(images[0], answer, model)]
    middle = len(images) // 2
    return _ask_isolated(images[:middle], model) + _ask_isolated(images[middle:], model)


def _to_answers(
    images: Sequence[PixelArray], answer: ForwardPass | RankedPass, card: ClassifierCard
) -> list[Answer | Failure]:
    execution = _to_execution(answer, card)
    best = answer.best if isinstance(answer, RankedPass) else [None] * len(images)
    rows = zip(images, answer.logits, best, strict=True)
    return [Answer(logits, execution, image.ref, ranked) for image, logits, ranked in rows]


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


def _try_classify(
    batch: Sequence[ModelInputs], model: AskedModel
) -> ForwardPass | RankedPass | Exception:
    try:
        return model.classify(batch)
    except Exception as error:  # noqa: BLE001  a model may raise anything on one image of a batch
        return error.with_traceback(None)


def _blame(image: PixelArray, error: Exception, model: AskedModel) -> Failure:
    """The image's failure, once the model has shown that it is well.

    Raises:
        SickModelError: it fails on pictures that it could score, too.
    """
    model.health.check()
    # Torch's error by its name: this module is imported where torch need not be.
    is_full = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    problem = ImageError(FailureCode.INFERENCE_FAILED, _FAILED)
    if is_full:
        problem = ImageError(FailureCode.OUT_OF_MEMORY, _OUT_OF_MEMORY, retryable=True)
    return Failure.from_error(image.ref, problem, facts=image.facts)
