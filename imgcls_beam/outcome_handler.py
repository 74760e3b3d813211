"""`OutcomeHandler`: the handler whose inference is a whole outcome, and who remembers answers."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from apache_beam.ml.inference.base import PredictionResult

from imgcls_beam.board import BOARD
from imgcls_beam.classifying import Classifier
from imgcls_beam.elements import Outcome
from imgcls_beam.errors import Stage
from imgcls_beam.handler import Example, ImageClassificationModelHandler
from imgcls_beam.shared_answers import Answers, find_answers


class OutcomeHandler(ImageClassificationModelHandler):
    """The handler of our own pipeline: `PredictionResult.inference` is the whole outcome.

    Unless `ReadOptions.dedupe` says otherwise, images of the same bytes are predicted once.
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:  # noqa: ANN401
        """What the handler takes."""
        super().__init__(*args, **keywords)
        self._application = uuid.uuid4().hex
        self._answers: Answers | None = None

    def run_inference(
        self,
        batch: Sequence[Example],
        model: Classifier,
        inference_args: Mapping[str, Any] | None = None,
    ) -> list[PredictionResult]:
        """What the handler does; a terminal that follows the run is told how long it took."""
        with BOARD.held(Stage.PREDICT):
            return super().run_inference(batch, model, inference_args)

    def _find_answers(self) -> Answers | None:
        if self._answers is None and self._read.dedupe == "on":
            self._answers = find_answers(self._application)
        return self._answers

    def _to_inference(self, outcome: Outcome) -> Outcome:
        return outcome
