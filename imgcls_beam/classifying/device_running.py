"""A model run by torch on a GPU. Heavy: imports torch."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from imgcls_beam.classifying.device_ranking import rank_logits, unpack
from imgcls_beam.classifying.feeding import Feed, Tensors
from imgcls_beam.classifying.judging import find_logits
from imgcls_beam.classifying.lanes import Lane, Mark, Sent
from imgcls_beam.classifying.protocol import Logits, RankSpec
from imgcls_beam.classifying.recording import Recorder
from imgcls_beam.classifying.running import Found
from imgcls_beam.elements import ModelInputs
from imgcls_beam.scoring import EngineChoice


@dataclasses.dataclass(slots=True)
class QueuedPass:
    """A pass that is in a device's queue; see `Queued`.

    Attributes:
        logits: float32 (N, C), on the device.
        start: a mark before the pass.
        end: a mark behind all that is fetched.
        fetched: the logits, on the host; None where they are not wanted.
        packed: what `rank_logits` gives, on the host; None where nothing is.
        wanted: what is wanted beside the logits.
    """

    logits: torch.Tensor
    start: Mark
    end: Mark
    fetched: torch.Tensor | None
    packed: torch.Tensor | None
    wanted: RankSpec | None

    def wait(self) -> Found:
        """Waits once; once more where the host has to rank some of the images."""
        self.end.synchronize()
        shape, elapsed_ms = tuple(self.logits.shape), self.start.elapsed_time(self.end)
        fetched = None if self.fetched is None else self.fetched.numpy()
        if self.packed is None or self.wanted is None:
            assert fetched is not None
            return Found(shape, fetched, elapsed_ms)
        best = unpack(self.packed.tolist(), self.wanted)
        unclear = [index for index, each in enumerate(best) if each is None]
        logits = fetched if fetched is not None else self._fetch_some(unclear)
        return Found(shape, logits, elapsed_ms, best)

    def _fetch_some(self, indices: Sequence[int]) -> list[Logits | None]:
        found: list[Logits | None] = [None] * len(self.logits)
        if indices:
            rows: Logits = self.logits[list(indices)].cpu().numpy()
            for index, row in zip(indices, rows, strict=True):
                found[index] = row
        return found


class DeviceRunner:
    """A model of transformers on a GPU; see `QueueingRunner`.

    Attributes:
        choice: which engine, and why.
        model: of transformers.
        feed: stacks images, and does their arithmetic on the device.
    """

    def __init__(
        self,
        choice: EngineChoice,
        model: Any,  # noqa: ANN401
        feed: Feed,
        lane: Lane,
    ) -> None:
        """Takes a model that is ready to predict, and the way to its device."""
        self.choice = choice
        self.feed, self._lane = feed, lane
        self.use(model)

    def use(self, model: Any) -> None:  # noqa: ANN401
        """Runs another form of the model from now on; what was recorded of this one is let go."""
        self.model, self._recorder = model, Recorder(self._lane)

    def takes(self, batch: Sequence[ModelInputs]) -> bool:
        """Every shape."""
        del batch
        return True

    def stack(self, batch: Sequence[ModelInputs]) -> Sent:
        """(…) each → (N, …), on its way to the device."""
        return self._lane.send(self.feed.stack(batch))

    def run(self, stacked: Sent) -> Logits:
        """Logits, float32 (N, C)."""
        found = self.queue(stacked, None).wait().logits
        assert isinstance(found, np.ndarray)
        return found

    def queue(self, stacked: Sent, wanted: RankSpec | None) -> QueuedPass:
        """See `QueueingRunner`."""
        start = self._lane.mark()
        inputs = self._lane.receive(stacked)
        with torch.inference_mode():
            work = functools.partial(self._pass, wanted=wanted)
            asked = None if wanted is None else (wanted.function_to_apply, wanted.top_k)
            logits, *ranked = self._recorder.run(work, inputs, asked)
            packed = self._lane.fetch(ranked[0]) if ranked else None
            is_kept = wanted is None or wanted.keeps_logits
            fetched = self._lane.fetch(logits) if is_kept else None
        return QueuedPass(logits, start, self._lane.mark(), fetched, packed, wanted)

    def _pass(self, inputs: Tensors, wanted: RankSpec | None) -> tuple[torch.Tensor, ...]:
        """The logits, and what `rank_logits` gives where ranks are wanted."""
        outputs = self.model(**self.feed.move(inputs, self.model.dtype))
        logits = find_logits(outputs).to(torch.float32)
        return (logits,) if wanted is None else (logits, rank_logits(logits, wanted))
