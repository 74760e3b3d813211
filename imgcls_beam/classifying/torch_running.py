"""A model run by torch. Heavy: imports torch."""

from collections.abc import Sequence
from typing import Any

import torch

from imgcls_beam.classifying.feeding import Feed, Tensors
from imgcls_beam.classifying.judging import find_logits
from imgcls_beam.classifying.protocol import Logits
from imgcls_beam.elements import ModelInputs
from imgcls_beam.scoring import EngineChoice


class TorchRunner:
    """A model of transformers on its device, plain or tuned; see `Runner`.

    Attributes:
        choice: which engine, and why.
        model: of transformers.
        feed: stacks images and brings them to its device.
    """

    def __init__(self, choice: EngineChoice, model: Any, feed: Feed) -> None:  # noqa: ANN401
        """Takes a model that is ready to predict."""
        self.choice = choice
        self.model, self.feed = model, feed

    def takes(self, batch: Sequence[ModelInputs]) -> bool:
        """Every shape."""
        del batch
        return True

    def stack(self, batch: Sequence[ModelInputs]) -> Tensors:
        """(…) each → (N, …) on the host."""
        return self.feed.stack(batch)

    def run(self, stacked: Tensors) -> Logits:
        """Logits, float32 (N, C)."""
        with torch.inference_mode():
            outputs = self.model(**self.feed.move(stacked, self.model.dtype))
            logits: Logits = find_logits(outputs).to(torch.float32).cpu().numpy()
        return logits
