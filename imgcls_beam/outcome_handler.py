"""`OutcomeHandler`: the handler whose inference is a whole outcome, and who remembers answers."""

import uuid
from typing import Any

from imgcls_beam.elements import Outcome
from imgcls_beam.handler import ImageClassificationModelHandler
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

    def _find_answers(self) -> Answers | None:
        if self._answers is None and self._read.dedupe == "on":
            self._answers = find_answers(self._application)
        return self._answers

    def _to_inference(self, outcome: Outcome) -> Outcome:
        return outcome
