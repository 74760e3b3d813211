"""A handler that does not wait: rows of a batch are handed on while the next is predicted.

RunInference calls its handler in the thread that also gathers the next batch and makes rows, and a
model whose passes are short would stand still for a tenth of the time. So the handler here only
begins a batch and leaves the rest to a thread, and `TakeOutcomesDoFn`, which follows in the same
fused stage, takes the outcomes of a batch once the next one is under way. There are two threads:
the next batch is stacked, and its first images are in the model, while the last images of the one
before are, and while those are ranked.
"""

import concurrent.futures
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import PredictionResult
from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam.board import BOARD
from imgcls_beam.classifying import Classifier
from imgcls_beam.elements import Failure, Outcome
from imgcls_beam.errors import Stage
from imgcls_beam.handler import Example
from imgcls_beam.metrics import count_outcome
from imgcls_beam.outcome_handler import OutcomeHandler

_BATCHES = 2
"""At once; more are never under way, as the outcomes of one are taken before the one after the next
begins."""

_Predicting = concurrent.futures.Future[list[PredictionResult]]


class PendingOutcome:
    """An outcome of a batch that may still be in the model."""

    def __init__(self, batch: _Predicting, index: int) -> None:
        """Takes what gives the results of a batch, and which of them is meant."""
        self.batch = batch
        self._index = index

    def take(self) -> Outcome:
        """The outcome; waits for it.

        Raises:
            Exception: whatever the model raised on a blank image.
        """
        outcome: Outcome = self._wait()[self._index].inference
        return outcome

    def _wait(self) -> list[PredictionResult]:
        if self.batch.done():
            return self.batch.result()
        with BOARD.held(Stage.PREDICT):
            return self.batch.result()

    def __reduce__(self) -> tuple[Any, ...]:
        """A runner that does not fuse the two steps gets the outcome, which it can send on."""
        return _settle, (self.take(),)


def _settle(outcome: Outcome) -> PendingOutcome:
    batch: _Predicting = concurrent.futures.Future()
    batch.set_result([PredictionResult(None, outcome)])
    return PendingOutcome(batch, 0)


class AsyncOutcomeHandler(OutcomeHandler):
    """The handler whose inference is a `PendingOutcome`, to be taken by `TakeOutcomesDoFn`."""

    _threads: concurrent.futures.ThreadPoolExecutor | None = None

    def run_inference(
        self,
        batch: Sequence[Example],
        model: Classifier,
        inference_args: Mapping[str, Any] | None = None,
    ) -> list[PredictionResult]:
        """Begins to predict a batch; two are predicted at once."""
        if self._threads is None:  # not before: a handler is pickled
            self._threads = concurrent.futures.ThreadPoolExecutor(_BATCHES, "imgcls-predict")
        examples = list(batch)
        predicting = self._threads.submit(self._begin(examples, model, inference_args))
        return [
            PredictionResult(example, PendingOutcome(predicting, index))
            for index, example in enumerate(examples)
        ]


class TakeOutcomesDoFn(beam.DoFn):
    """`(timestamp, PredictionResult)` of an `AsyncOutcomeHandler` → the `Outcome` at that time."""

    def __init__(self, *, is_first_model: bool) -> None:
        """Takes whether progress is counted here: it is in images, however many models look."""
        self._is_first_model = is_first_model

    def start_bundle(self) -> None:
        """Forgets what a bundle left that failed further down, which nobody told us."""
        self._under_way: list[tuple[WindowedValue, bool]] = []

    def process(
        self,
        element: tuple[Any, PredictionResult],
        window: Any = beam.DoFn.WindowParam,  # noqa: ANN401  Beam's parameter
    ) -> Iterator[WindowedValue]:
        """Holds an image of the newest batch, and emits those of the one before."""
        timestamp, result = element
        if self._under_way and self._under_way[-1][0].value.batch is not result.inference.batch:
            yield from self.finish_bundle()
        # Not the result, which holds the image's pixels.
        reached_model = not isinstance(result.example, Failure)
        pending = WindowedValue(result.inference, timestamp, (window,))
        self._under_way.append((pending, reached_model))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Emits what is under way."""
        taken, self._under_way = self._under_way, []
        for pending, reached_model in taken:
            outcome = pending.value.take()
            count_outcome(outcome, reached_model=reached_model, on_board=self._is_first_model)
            yield pending.with_value(outcome)
