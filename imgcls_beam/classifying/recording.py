"""Passes that a GPU is told once and then repeats: CUDA graphs. Heavy: imports torch.

A pass over a transformer is hundreds of kernels, each of which Python launches by itself. In
bfloat16 an H100 computes 64 images in about the time in which they are launched, and where other
threads have work for Python too, launching takes longer than computing. So a pass over a batch of a
shape that comes again is recorded, and later batches of that shape are one launch.
See docs/adr/0046.
"""

import collections
import dataclasses
from collections.abc import Hashable

import torch

from imgcls_beam.classifying.feeding import Tensors
from imgcls_beam.classifying.lanes import DeviceWork, Lane, Recorded

_SEEN = 3
"""A batch of one shape is recorded when it comes for the third time: most come once or twice."""
_MOST = 4
"""Recordings of one model: each holds the memory of its activations."""
_MOST_SEEN = 1000
"""Shapes that are remembered; after so many it begins anew."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Key:
    """What one recording is for.

    Attributes:
        inputs: name, shape and type of each.
        wanted: what else tells one kind of work from another.
    """

    inputs: tuple[tuple[str, tuple[int, ...], torch.dtype], ...]
    wanted: Hashable


class Recorder:
    """Runs passes on one device, by recordings of them where these say the same.

    A recording is held once beside the plain pass, on the batch turned upside down, and must give
    the same bits. Where it does not, where a pass cannot be recorded (a model that looks at its
    own values), and once a batch finds too little memory, all passes are plain from then on.
    """

    def __init__(self, lane: Lane) -> None:
        """Takes the way to the device."""
        self._lane = lane
        self._seen: collections.Counter[_Key] = collections.Counter()
        self._recorded: dict[_Key, Recorded] = {}
        self._is_off = False

    def run(self, work: DeviceWork, inputs: Tensors, wanted: Hashable) -> tuple[torch.Tensor, ...]:
        """Queues `work(inputs)`; one thread at a time.

        Args:
            work: does the same for the same `wanted`.
            inputs: on the device.
            wanted: what the work depends on beside its inputs.

        Returns:
            What the work gives, in tensors of its own.

        Raises:
            Exception: whatever the work raises.
        """
        shapes = ((name, tuple(each.shape), each.dtype) for name, each in sorted(inputs.items()))
        key = _Key(tuple(shapes), wanted)
        if key in self._recorded:
            # The next replay writes to the same places.
            return tuple(each.clone() for each in self._recorded[key].replay(inputs))
        try:
            found = work(inputs)
        except torch.OutOfMemoryError:
            self._give_up()  # who called halves the batch, and needs what the recordings hold
            raise
        if len(self._seen) == _MOST_SEEN:
            self._seen.clear()
        self._seen[key] += 1
        if self._seen[key] >= _SEEN and not self._is_off and len(self._recorded) < _MOST:
            self._record(key, work, inputs)
        return found

    def _record(self, key: _Key, work: DeviceWork, inputs: Tensors) -> None:
        turned = {name: each.flip(1) if each.dim() > 1 else each for name, each in inputs.items()}
        try:
            recorded = self._lane.record(work, inputs)
            pairs = zip(recorded.replay(turned), work(turned), strict=True)
            is_same = all(torch.equal(found, expected) for found, expected in pairs)
        except RuntimeError:
            is_same = False
        if is_same:
            self._recorded[key] = recorded
        else:
            self._give_up()

    def _give_up(self) -> None:
        self._is_off = True
        self._recorded.clear()
