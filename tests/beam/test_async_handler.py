"""A batch is predicted while the rows of the one before are handed on."""

import functools
import pathlib
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from apache_beam.ml.inference.base import PredictionResult
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam.async_handler import AsyncOutcomeHandler, PendingOutcome, TakeOutcomesDoFn
from imgcls_beam.board import BOARD
from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.outcome_handler import OutcomeHandler
from tests import pictures
from tests.scenes import draw_photo

WINDOW = GlobalWindow()
ERROR = ImageError(FailureCode.TRUNCATED, "cut")


class Gate:
    """Stands for a model: a batch is answered once it is let through."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.batches: list[list[Any]] = []
        self.error: Exception | None = None


def _begin(
    handler: OutcomeHandler, batch: Sequence[Any], model: Gate, args: Any
) -> Callable[[], list[PredictionResult]]:
    return functools.partial(_answer, batch, model)


def _answer(batch: Sequence[Any], model: Gate) -> list[PredictionResult]:
    assert model.is_open.wait(30)
    model.batches.append(list(batch))
    if model.error is not None:
        raise model.error
    return [PredictionResult(None, Failure.from_error(ImageRef(each), ERROR)) for each in batch]


@pytest.fixture
def handler(vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> AsyncOutcomeHandler:
    monkeypatch.setattr(OutcomeHandler, "_begin", _begin)
    return AsyncOutcomeHandler(str(vit_folder))


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.is_open.set()


@pytest.fixture
def take() -> TakeOutcomesDoFn:
    BOARD.reset()
    take = TakeOutcomesDoFn(is_first_model=True)
    take.start_bundle()
    return take


def _give(take: TakeOutcomesDoFn, results: list[PredictionResult]) -> list[WindowedValue]:
    """What comes out while a batch goes in, whose images have the times 0, 1, 2, …"""
    return [each for i, one in enumerate(results) for each in take.process((i, one), WINDOW)]


def _tell(taken: list[WindowedValue]) -> list[tuple[str, Any]]:
    assert {each.windows for each in taken} <= {(WINDOW,)}
    return [(each.value.ref.uri, each.timestamp) for each in taken]


def test_the_rows_of_a_batch_come_once_the_next_is_under_way(
    handler: AsyncOutcomeHandler, gate: Gate, take: TakeOutcomesDoFn
) -> None:
    first = handler.run_inference(["a", "b"], gate)  # type: ignore[arg-type, list-item]
    assert gate.batches == []  # the caller was not held up
    assert _give(take, first) == []
    second = handler.run_inference(["c"], gate)  # type: ignore[arg-type, list-item]
    gate.is_open.set()
    assert _tell(_give(take, second)) == [("a", 0), ("b", 1)]
    assert BOARD.read().error == 2
    assert _tell(list(take.finish_bundle())) == [("c", 0)]
    assert (list(take.finish_bundle()), sorted(gate.batches)) == ([], [["a", "b"], ["c"]])


def test_two_batches_are_in_the_model_at_once_and_their_rows_come_in_order(
    handler: AsyncOutcomeHandler, gate: Gate, take: TakeOutcomesDoFn
) -> None:
    both = threading.Barrier(2, action=gate.is_open.set)
    gate.is_open.wait = lambda limit_s: both.wait(limit_s) >= 0  # type: ignore[method-assign]
    first = handler.run_inference(["a"], gate)  # type: ignore[arg-type, list-item]
    assert _give(take, first) == []
    second = handler.run_inference(["b"], gate)  # type: ignore[arg-type, list-item]
    assert _tell(_give(take, second)) == [("a", 0)]
    assert _tell(list(take.finish_bundle())) == [("b", 0)]


def test_the_time_in_which_rows_wait_for_the_model_is_the_models(
    handler: AsyncOutcomeHandler, gate: Gate, take: TakeOutcomesDoFn
) -> None:
    _give(take, handler.run_inference(["a"], gate))  # type: ignore[arg-type, list-item]
    threading.Timer(0.05, gate.is_open.set).start()
    list(take.finish_bundle())
    assert set(BOARD.read().held_s) == {"predict"}


def test_what_the_model_raises_ends_the_bundle_and_the_next_one_begins_anew(
    handler: AsyncOutcomeHandler, gate: Gate, take: TakeOutcomesDoFn
) -> None:
    gate.is_open.set()
    gate.error = RuntimeError("sick")
    _give(take, handler.run_inference(["a"], gate))  # type: ignore[arg-type, list-item]
    with pytest.raises(RuntimeError, match="sick"):
        list(take.finish_bundle())
    _give(take, handler.run_inference(["a"], gate))  # type: ignore[arg-type, list-item]
    take.start_bundle()
    gate.error = None
    _give(take, handler.run_inference(["b"], gate))  # type: ignore[arg-type, list-item]
    assert _tell(list(take.finish_bundle())) == [("b", 0)]


def test_where_the_steps_are_not_fused_the_outcome_itself_travels(
    handler: AsyncOutcomeHandler, gate: Gate, take: TakeOutcomesDoFn
) -> None:
    gate.is_open.set()
    results = handler.run_inference(["a", "b"], gate)  # type: ignore[arg-type, list-item]
    sent = [pickle.loads(pickle.dumps(each.inference)) for each in results]
    assert all(isinstance(each, PendingOutcome) for each in sent)
    moved = [PredictionResult(None, each) for each in sent]
    taken = _give(take, moved) + list(take.finish_bundle())
    assert _tell(taken) == [("a", 0), ("b", 1)]


def test_its_answers_are_those_of_the_handler_that_waits(vit_folder: pathlib.Path) -> None:
    plain, other = OutcomeHandler(str(vit_folder)), AsyncOutcomeHandler(str(vit_folder))
    model = plain.load_model()
    images = [
        EncodedImage(ImageRef(f"memory://{i}"), pictures.encode(draw_photo(i, (40, 30)), "PNG"))
        for i in range(3)
    ]
    images.append(EncodedImage(ImageRef("memory://bad"), b"no image"))
    waited = [each.inference for each in plain.run_inference(images, model)]
    taken = [each.inference.take() for each in other.run_inference(images, model)]
    assert [each.ref for each in taken] == [each.ref for each in waited]
    assert [getattr(each, "labels", None) for each in taken] == [
        getattr(each, "labels", None) for each in waited
    ]
    assert isinstance(taken[-1], Failure)
