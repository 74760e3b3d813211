"""A batch is answered image by image, whatever one of them does to the model."""

import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch

from imgcls_beam.classifying import ClassifierCard, ForwardPass, RankedPass, RankSpec
from imgcls_beam.classifying.device_ranking import rank_logits, unpack
from imgcls_beam.elements import (
    Failure,
    ImageFacts,
    ImageRef,
    ModelInputs,
    Outcome,
    PixelArray,
    Prediction,
)
from imgcls_beam.errors import FailureCode, SickModelError, Stage
from imgcls_beam.health import Health
from imgcls_beam.predicting import begin_images, predict_begun, predict_images
from imgcls_beam.scoring import ModelSource, Scoring
from imgcls_beam.shared_answers import Answers
from imgcls_beam.spec import Parameters

CARD = ClassifierCard(("cat", "dog", "eel"), "softmax", "cpu", "float32", 0)
MODEL = ModelSource("owner/model", "a" * 40, "owner/model", "a" * 40)
POISON, NAN_IMAGE, HUNGRY = 66, 77, 88
PASS_MS = 200.0


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


@dataclasses.dataclass
class MeanClassifier:
    """An honest small model: the logits of an image follow from its mean grey level.

    A grey level of 66 in any image of a batch makes the pass raise, 77 gives NaN, 88 runs out of
    memory; `max_batch` runs out of memory on larger batches; a sick one always raises.
    """

    max_batch: int = 1000
    is_sick: bool = False
    passes: list[int] = dataclasses.field(default_factory=list)

    def describe(self) -> ClassifierCard:
        return CARD

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
        self.passes.append(len(batch))
        stacked = np.stack([each["pixel_values"] for each in batch])
        means = stacked.reshape(len(batch), -1).mean(axis=1, dtype=np.float32)
        if self.is_sick or POISON in means:
            raise ValueError("poison at 0x7f00")
        if len(batch) > self.max_batch or HUNGRY in means:
            raise OutOfMemoryError("CUDA out of memory")
        logits = np.stack([means / 100, 1 - means / 100, means * 0], axis=1).astype(np.float32)
        logits[means == NAN_IMAGE] = np.nan
        return ForwardPass(logits, PASS_MS)


def make_image(grey: int, name: str = "", size_px: int = 4, **ref: object) -> PixelArray:
    pixels = np.full((size_px, size_px, 3), grey, np.uint8)
    return PixelArray(
        ImageRef(name or f"memory://{grey}", **ref), {"pixel_values": pixels}, None, 1.0
    )  # type: ignore[arg-type]


def ask(
    images: Sequence[PixelArray], model: MeanClassifier | None = None, top_k: int | None = 3
) -> list[Outcome]:
    model = model or MeanClassifier()
    return predict_images(images, model, Scoring(MODEL, top_k), watch(model))


def watch(model: MeanClassifier) -> Health:
    return Health(model, lambda: [make_image(0).inputs])


def test_each_image_gets_its_own_answer_in_order() -> None:
    outcomes = ask([make_image(10), make_image(200), make_image(30)])
    assert [each.ref.uri for each in outcomes] == ["memory://10", "memory://200", "memory://30"]
    best = [each.labels[0].label for each in outcomes if isinstance(each, Prediction)]
    assert best == ["dog", "cat", "dog"]


@pytest.mark.parametrize("position", range(7))
def test_one_poison_image_costs_one_row(position: int) -> None:
    images = [make_image(10 + i) for i in range(7)]
    images[position] = make_image(POISON)
    outcomes = ask(images)
    alone = ask(images[:position] + images[position + 1 :])
    failure = outcomes.pop(position)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.code) == (Stage.PREDICT, FailureCode.INFERENCE_FAILED)
    assert "0x7f00" not in failure.message
    answers = [each.labels for each in outcomes if isinstance(each, Prediction)]
    assert answers == [each.labels for each in alone if isinstance(each, Prediction)]
    assert len(answers) == 6


def test_every_image_may_be_poison_without_an_end_to_the_batch() -> None:
    outcomes = ask([make_image(POISON, f"memory://{i}") for i in range(5)])
    assert [type(each) for each in outcomes] == [Failure] * 5


def test_a_sick_model_is_raised_and_blames_no_image() -> None:
    model = MeanClassifier(is_sick=True)
    with pytest.raises(SickModelError, match="sick"):
        ask([make_image(i) for i in range(16)], model)
    # 16, 8, 4, 2, 1 and the blank one: not one pass per image.
    assert model.passes == [16, 8, 4, 2, 1, 1]


def test_running_out_of_memory_halves_the_batch_and_loses_nothing() -> None:
    model = MeanClassifier(max_batch=3)
    outcomes = ask([make_image(i) for i in range(10)], model)
    assert all(isinstance(each, Prediction) for each in outcomes)
    sizes = {each.execution.batch_size for each in outcomes if isinstance(each, Prediction)}
    assert max(sizes) <= 3


def test_an_image_that_runs_out_of_memory_alone_is_a_retryable_failure() -> None:
    good, bad = ask([make_image(1), make_image(HUNGRY)])
    assert isinstance(good, Prediction)
    assert isinstance(bad, Failure)
    assert (bad.code, bad.retryable) == (FailureCode.OUT_OF_MEMORY, True)


def test_a_score_that_is_not_finite_is_a_failure_of_that_image_alone() -> None:
    good, bad = ask([make_image(1), make_image(NAN_IMAGE)])
    assert isinstance(good, Prediction)
    assert isinstance(bad, Failure)
    assert bad.code is FailureCode.NON_FINITE_SCORE


def test_images_of_several_shapes_are_passes_of_their_own() -> None:
    model = MeanClassifier()
    images = [make_image(i, size_px=4 + 4 * (i % 2)) for i in range(6)]
    outcomes = ask(images, model)
    assert [each.ref for each in outcomes] == [image.ref for image in images]
    assert model.passes == [3, 3]


def test_requests_of_a_batch_keep_their_own_parameters_in_one_pass() -> None:
    model = MeanClassifier()
    asked = [Parameters("sigmoid", 1), Parameters("none", 2), Parameters(), Parameters(top_k=3)]
    images = [make_image(50, f"memory://{i}", parameters=each) for i, each in enumerate(asked)]
    outcomes = predict_images(images, model, Scoring(MODEL, 2, "softmax"), watch(model))
    applied = [each.applied for each in outcomes if isinstance(each, Prediction)]
    assert model.passes == [4]
    assert [(each.function_to_apply, each.function_source, each.top_k) for each in applied] == [
        ("sigmoid", "request", 1),
        ("none", "request", 2),
        ("softmax", "job", 2),
        ("softmax", "job", 3),
    ]
    lengths = [len(each.labels) for each in outcomes if isinstance(each, Prediction)]
    assert lengths == [1, 2, 2, 3]


def test_an_image_has_its_share_of_the_time_that_the_model_says() -> None:
    outcomes = ask([make_image(i) for i in range(4)])
    found = [each.execution for each in outcomes if isinstance(each, Prediction)]
    assert [each.inference_ms for each in found] == [PASS_MS / 4] * 4
    assert len({each.finished_at for each in found}) == 1


def test_no_images_are_no_passes() -> None:
    model = MeanClassifier()
    assert ask([], model) == []
    assert model.passes == []


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_not_taken_for_a_bad_image(interrupt: Callable[[], BaseException]) -> None:
    class Interrupted(MeanClassifier):
        def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
            raise interrupt()

    with pytest.raises(BaseException) as caught:
        ask([make_image(1)], Interrupted())
    assert isinstance(caught.value, KeyboardInterrupt | SystemExit)


@dataclasses.dataclass
class RankingClassifier(MeanClassifier):
    """The same model on a device that ranks."""

    wanted: list[RankSpec] = dataclasses.field(default_factory=list)

    def describe(self) -> ClassifierCard:
        return dataclasses.replace(CARD, ranks=True)

    def rank(self, batch: Sequence[ModelInputs], wanted: RankSpec) -> RankedPass:
        self.wanted.append(wanted)
        logits = self.classify(batch).logits
        best = unpack(rank_logits(torch.from_numpy(logits), wanted).tolist(), wanted)
        rows = [
            row if wanted.keeps_logits or ranked is None else None
            for row, ranked in zip(logits, best, strict=True)
        ]
        return RankedPass(best, rows, PASS_MS)


def compare(found: Sequence[Outcome], expected: Sequence[Outcome]) -> None:
    assert [each.ref for each in found] == [each.ref for each in expected]
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, Failure) or isinstance(other, Failure):
            assert isinstance(one, Failure) and isinstance(other, Failure)
            assert one.code is other.code
            continue
        assert (one.applied, one.shared_with) == (other.applied, other.shared_with)
        assert [each.label for each in one.labels] == [each.label for each in other.labels]
        scores = [each.score for each in other.labels]
        assert [each.score for each in one.labels] == pytest.approx(scores, abs=1e-7)
        assert one.margin == pytest.approx(other.margin, abs=2e-7)


GREYS = (10, 200, POISON, 30, NAN_IMAGE, 50, HUNGRY, 33, 0, 255)


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
@pytest.mark.parametrize("top_k", [1, 2, 3, 100])
def test_what_the_device_ranks_gives_the_outcomes_of_the_host(function: str, top_k: int) -> None:
    images = [make_image(grey) for grey in GREYS]
    scoring, model = Scoring(MODEL, top_k, function), RankingClassifier()  # type: ignore[arg-type]
    found = predict_images(images, model, scoring, watch(model))
    host = MeanClassifier()
    expected = predict_images(images, host, scoring, watch(host))
    compare(found, expected)
    assert set(model.wanted) == {RankSpec(function, top_k)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ([Parameters(), Parameters(top_k=3)], RankSpec("softmax", 3)),
        ([Parameters("softmax", 1), Parameters(top_k=1)], RankSpec("softmax", 1)),
        ([Parameters(), Parameters("sigmoid")], None),
        ([Parameters(top_k=101), Parameters()], None),
    ],
)
def test_the_device_ranks_where_one_ranking_does_for_all(
    asked: Sequence[Parameters], wanted: RankSpec | None
) -> None:
    images = [make_image(50 + i, f"memory://{i}", parameters=each) for i, each in enumerate(asked)]
    scoring, model = Scoring(MODEL, 2), RankingClassifier()
    found = predict_images(images, model, scoring, watch(model))
    host = MeanClassifier()
    expected = predict_images(images, host, scoring, watch(host))
    compare(found, expected)
    assert model.wanted == ([] if wanted is None else [wanted])


def test_every_label_is_ranked_by_the_host() -> None:
    model = RankingClassifier()
    assert len(ask([make_image(1), make_image(2)], model, None)) == 2
    assert model.wanted == []


def test_images_of_the_same_bytes_share_what_the_device_gave_and_have_ranks_of_their_own() -> None:
    asked = [Parameters(), Parameters(), Parameters(top_k=3), Parameters("sigmoid", 1)]
    facts = ImageFacts(9, "ab" * 32)
    images = [
        dataclasses.replace(make_image(50, f"memory://{i}", parameters=each), facts=facts)
        for i, each in enumerate(asked)
    ]
    found, expected = [], []
    for model, outcomes in ((RankingClassifier(), found), (MeanClassifier(), expected)):
        answers = Answers()
        for batch in (images[:1], images[1:]):
            outcomes += predict_images(batch, model, Scoring(MODEL, 2), watch(model), answers)
        assert model.passes == [1]
    compare(found, expected)
    assert found[1].labels == found[0].labels


class HeldClassifier(MeanClassifier):
    """Answers its first batch once it may; its first passes may fail."""

    def __init__(self, failing_passes: int = 0) -> None:
        super().__init__()
        self.may, self.failing_passes = threading.Event(), failing_passes

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
        answer = super().classify(batch)
        if len(self.passes) == 1:
            assert self.may.wait(30)
        if len(self.passes) <= self.failing_passes:
            raise ValueError("the device is gone")
        return answer


def make_copy(name: str, content: str = "ab") -> PixelArray:
    return dataclasses.replace(make_image(50, name), facts=ImageFacts(9, content * 32))


@pytest.fixture
def pool() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield pool


def test_of_two_batches_at_once_the_one_that_was_begun_first_asks_about_the_same_bytes(
    pool: concurrent.futures.ThreadPoolExecutor,
) -> None:
    model, answers = HeldClassifier(), Answers()
    batches = [
        [make_copy("memory://a"), make_copy("memory://b", "cd")],
        [make_copy("memory://c", "ef"), make_copy("memory://d")],
    ]
    begun = [
        begin_images(each, model, Scoring(MODEL, 2), watch(model), answers) for each in batches
    ]
    first = pool.submit(predict_begun, begun[0])
    while not model.passes:
        assert not first.done()
    second = pool.submit(predict_begun, begun[1])
    while len(model.passes) < 2:  # its own image does not wait
        assert not second.done()
    model.may.set()
    outcomes = first.result(30) + second.result(30)
    assert [getattr(each, "shared_with", "") for each in outcomes] == [None] * 3 + ["memory://a"]
    assert model.passes == [2, 1]


def test_a_batch_that_is_begun_later_and_predicted_first_waits_for_the_one_before(
    pool: concurrent.futures.ThreadPoolExecutor,
) -> None:
    model, answers = MeanClassifier(), Answers()
    begun = [
        begin_images([make_copy(name)], model, Scoring(MODEL, 2), watch(model), answers)
        for name in ("memory://a", "memory://b")
    ]
    second = pool.submit(predict_begun, begun[1])
    assert concurrent.futures.wait([second], 0.2).not_done
    (first,) = predict_begun(begun[0])
    (found,) = second.result(30)
    assert isinstance(first, Prediction) and isinstance(found, Prediction)
    assert (first.shared_with, found.shared_with) == (None, "memory://a")
    assert model.passes == [1]


def test_where_the_batch_before_got_no_answer_the_next_one_asks(
    pool: concurrent.futures.ThreadPoolExecutor,
) -> None:
    model, answers = HeldClassifier(failing_passes=2), Answers()  # the image, and a blank one
    scoring = Scoring(MODEL, 2)
    begun = [
        begin_images([make_copy(name)], model, scoring, watch(model), answers)
        for name in ("memory://a", "memory://b")
    ]
    first = pool.submit(predict_begun, begun[0])
    second = pool.submit(predict_begun, begun[1])
    model.may.set()
    with pytest.raises(SickModelError):
        first.result(30)
    (found,) = second.result(30)
    assert isinstance(found, Prediction)
    assert found.shared_with is None
    assert model.passes == [1, 1, 1]
