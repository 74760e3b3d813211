"""A model is known again by two pictures, and its failures are told from those of images."""

import gc
from collections.abc import Sequence

import numpy as np
import pytest

from imgcls_beam import health as health_module
from imgcls_beam.classifying import ClassifierCard, ForwardPass
from imgcls_beam.elements import ModelInputs
from imgcls_beam.errors import SickModelError
from imgcls_beam.health import Health, find_health

KNOWN = np.array([[2.0, 0.0, -1.0], [0.5, 0.2, 0.1]], np.float32)


class Model:
    """Gives the scores that it is told to give."""

    def __init__(self, dtype: str = "float32", device: str = "cpu") -> None:
        self.card = ClassifierCard(("a", "b", "c"), "softmax", device, dtype, 0)
        self.scores = KNOWN
        self.error: Exception | None = None
        self.passes = 0

    def describe(self) -> ClassifierCard:
        return self.card

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
        self.passes += 1
        if self.error is not None:
            raise self.error
        return ForwardPass(self.scores, 1.0)


def draw() -> list[ModelInputs]:
    return [{"pixel_values": np.zeros((2, 2, 3), np.uint8)}] * 2


def know(model: Model) -> Health:
    health = Health(model, draw)  # type: ignore[arg-type]
    assert health.learn()
    return health


@pytest.mark.parametrize(
    ("dtype", "scores"),
    [
        ("float32", KNOWN + 1e-4),
        ("float32", KNOWN * (1 + 1e-5)),
        ("bfloat16", KNOWN * 1.01),
        ("float16", KNOWN + 0.01),
    ],
)
def test_rounding_is_no_sickness(dtype: str, scores: np.ndarray) -> None:
    model = Model(dtype)
    health = know(model)
    model.scores = scores.astype(np.float32)
    health.check()


@pytest.mark.parametrize(
    "scores",
    [
        KNOWN * 0,
        KNOWN[::-1],
        KNOWN * -1,
        KNOWN[:1],
        np.full_like(KNOWN, np.nan),
        np.where(KNOWN > 1, np.inf, KNOWN),
    ],
    ids=["zero", "swapped", "negated", "too few", "NaN", "infinite"],
)
def test_other_scores_than_at_the_start_are_sickness(scores: np.ndarray) -> None:
    model = Model()
    health = know(model)
    model.scores = scores.astype(np.float32)
    with pytest.raises(SickModelError, match="it is sick, or its device is"):
        health.check()


def test_a_model_whose_scores_are_all_alike_is_known_by_their_size() -> None:
    model = Model()
    model.scores = np.full((2, 3), 4.0, np.float32)
    health = know(model)
    model.scores = np.full((2, 3), 4.1, np.float32)
    health.check()
    model.scores = np.full((2, 3), 5.0, np.float32)
    with pytest.raises(SickModelError):
        health.check()


def test_a_model_that_is_not_finite_at_the_start_is_not_learned() -> None:
    model = Model()
    model.scores = KNOWN * np.nan
    assert not Health(model, draw).learn()  # type: ignore[arg-type]


def test_a_model_that_raises_is_sick() -> None:
    model = Model()
    health = know(model)
    model.error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with pytest.raises(SickModelError, match="fails on pictures that it could score"):
        health.check()


def test_a_score_that_is_no_number_has_the_model_asked_at_once() -> None:
    model = Model()
    health = know(model)
    model.scores = KNOWN * np.nan
    health.note({"a": False}, is_odd=False)
    with pytest.raises(SickModelError, match="NaN or infinite"):
        health.note({"b": True}, is_odd=True)


def test_a_model_is_asked_from_time_to_time_ever_more_rarely() -> None:
    model = Model()
    health = know(model)
    asked = []
    for batch in range(1, 1001):
        before = model.passes
        health.note({f"{batch}-{index}": False for index in range(16)}, is_odd=False)
        if model.passes > before:
            asked.append(batch * 16)
    assert asked[:3] == [64, 128, 256]
    assert max(np.diff(asked)) == 1024
    assert model.passes < 30


def test_silent_other_scores_are_found_by_that() -> None:
    model = Model()
    health = know(model)
    model.scores = KNOWN[::-1]
    with pytest.raises(SickModelError, match="other scores"):
        for index in range(64):
            health.note({index: False}, is_odd=False)


def test_a_model_that_fails_on_most_images_ends_the_run() -> None:
    model = Model()
    health = know(model)
    for index in range(50):
        health.note({index: True}, is_odd=False)
    with pytest.raises(
        SickModelError, match="failed on 51 of the last 100 images, and not on others"
    ):
        health.note({"one more": True}, is_odd=False)


def test_half_of_the_images_may_fail_without_an_end() -> None:
    model = Model()
    health = know(model)
    for index in range(1000):
        health.note({index: index % 2 == 0}, is_odd=False)


def test_copies_of_one_bad_image_are_one() -> None:
    model = Model()
    health = know(model)
    for _ in range(1000):
        health.note({"the same": True}, is_odd=False)


def test_the_health_of_a_model_lives_as_long_as_the_model() -> None:
    model = Model()
    first = find_health(model, draw)  # type: ignore[arg-type]
    assert find_health(model, draw) is first  # type: ignore[arg-type]
    assert find_health(Model(), draw) is not first  # type: ignore[arg-type]
    key = id(model)
    assert key in health_module._KNOWN
    del model
    gc.collect()
    assert key not in health_module._KNOWN


@pytest.mark.parametrize(("device", "is_worker"), [("cpu", True), ("cuda:0", False)])
def test_a_worker_ends_only_where_its_device_may_be_gone(
    device: str, is_worker: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(health_module, "stop_process", said.append)
    monkeypatch.setattr(health_module, "is_worker", lambda: is_worker)
    model = Model(device=device)
    health = know(model)
    model.error = RuntimeError("CUDA error")
    with pytest.raises(SickModelError):
        health.check()
    assert said == []
    monkeypatch.setattr(health_module, "is_worker", lambda: True)
    model.card = Model(device="cuda:0").card
    with pytest.raises(SickModelError):
        health.check()
    assert len(said) == 1
