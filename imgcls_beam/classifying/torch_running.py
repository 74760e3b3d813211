"""A model run by torch on the CPU. Heavy: imports torch."""

from collections.abc import Sequence
from typing import Any

import torch

from imgcls_beam.classifying.core_share import CoreShare
from imgcls_beam.classifying.device_running import DeviceRunner
from imgcls_beam.classifying.feeding import Feed, Tensors
from imgcls_beam.classifying.judging import find_logits
from imgcls_beam.classifying.lanes import CudaLane
from imgcls_beam.classifying.protocol import Logits
from imgcls_beam.classifying.streams import Streams
from imgcls_beam.elements import ModelInputs
from imgcls_beam.memory import keep_freed
from imgcls_beam.scoring import EngineChoice


class TorchRunner:
    """A model of transformers on the CPU, plain or tuned; see `Runner`.

    Attributes:
        choice: which engine, and why.
        model: of transformers.
        feed: stacks images, and does their arithmetic.
    """

    def __init__(
        self,
        choice: EngineChoice,
        model: Any,  # noqa: ANN401
        feed: Feed,
        share: CoreShare,
    ) -> None:
        """Takes a model that is ready to predict, and the cores that it may use."""
        self.choice = choice
        self.model, self.feed = model, feed
        self._streams = Streams(share)
        keep_freed()

    def takes(self, batch: Sequence[ModelInputs]) -> bool:
        """Every shape."""
        del batch
        return True

    def stack(self, batch: Sequence[ModelInputs]) -> Tensors:
        """(…) each → (N, …) on the host."""
        return self.feed.stack(batch)

    def run(self, stacked: Tensors) -> Logits:
        """Logits, float32 (N, C)."""
        logits: Logits = self._streams.run(self._forward, stacked).numpy()
        return logits

    def _forward(self, stacked: Tensors) -> torch.Tensor:
        outputs = self.model(**self.feed.move(stacked, self.model.dtype))
        return find_logits(outputs).to(torch.float32)


def make_torch_runner(
    choice: EngineChoice,
    model: Any,  # noqa: ANN401
    feed: Feed,
    share: CoreShare,
) -> TorchRunner | DeviceRunner:
    """A model on the device of its feed, run by torch."""
    if feed.device.type == "cpu":
        return TorchRunner(choice, model, feed, share)
    return DeviceRunner(choice, model, feed, CudaLane(feed.device))
