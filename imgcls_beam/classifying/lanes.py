"""Copies to a GPU and back, beside the passes on it. Heavy: imports torch.

A GPU copies and computes at once, if the host's memory is pinned and the copies have a stream of
their own. All passes have one stream, the device's default one, and run one after the other. So
while one batch is in the model, the pixels of the next are copied, and the host ranks and writes
what the one before gave: it waits once for each batch, when it wants the answer.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch

from imgcls_beam.classifying.feeding import Tensors

DeviceWork = Callable[[Tensors], tuple[torch.Tensor, ...]]
"""Queues something on inputs that are on the device, and gives where the results will lie."""


class Mark(Protocol):
    """A place in the queue of a device."""

    def synchronize(self) -> None:
        """Waits until the device has come to it."""

    def elapsed_time(self, end: Any, /) -> float:  # noqa: ANN401  torch's own
        """Milliseconds of the device from here to a later mark of the same kind."""


class Sent(NamedTuple):
    """Tensors on their way to a device.

    Attributes:
        tensors: on the device, without content yet.
        arrived: an event of the copies' stream: they have it; None where nothing is waited for.
    """

    tensors: Tensors
    arrived: Any


class Recorded(Protocol):
    """Work that a device repeats."""

    def replay(self, inputs: Tensors) -> tuple[torch.Tensor, ...]:
        """Queues the work on inputs of the shapes that it was recorded with.

        What it gives lies in the same memory each time: the next replay writes over it.
        """


class Lane(Protocol):
    """The way to a device and back."""

    def send(self, stacked: Tensors) -> Sent:
        """Begins to copy; what is copied is pinned, and may be let go of at once."""

    def receive(self, sent: Sent) -> Tensors:
        """Tensors for passes that are queued from now on: the device lets them wait."""

    def fetch(self, found: torch.Tensor) -> torch.Tensor:
        """Queues a copy to the host, which has its content at a mark that is set afterwards."""

    def mark(self) -> Mark:
        """Sets a mark behind all that was queued."""

    def record(self, work: DeviceWork, inputs: Tensors) -> Recorded:
        """Records what `work` queues for inputs like these; waits for the device.

        Raises:
            RuntimeError: it cannot be recorded: it waits for the device, or takes more memory than
                there is.
        """


class CudaRecording:
    """A CUDA graph."""

    def __init__(self, work: DeviceWork, inputs: Tensors) -> None:
        """Records; other threads may use the device meanwhile."""
        self._inputs = {name: each.clone() for name, each in inputs.items()}
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._found = work(self._inputs)

    def replay(self, inputs: Tensors) -> tuple[torch.Tensor, ...]:
        """See `Recorded`."""
        for name, each in inputs.items():
            self._inputs[name].copy_(each, non_blocking=True)
        self._graph.replay()
        return self._found


class CudaLane:
    """The lane of a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        """Takes a stream for the copies."""
        self._device = device
        self._copies: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(self, stacked: Tensors) -> Sent:
        """See `Lane`. The allocator gives no pinned block away that a copy still reads."""
        with torch.cuda.stream(self._copies):
            moved = {
                name: each.to(self._device, non_blocking=True) for name, each in stacked.items()
            }
            return Sent(moved, self._copies.record_event())

    def receive(self, sent: Sent) -> Tensors:
        """See `Lane`."""
        passes = torch.cuda.current_stream(self._device)
        passes.wait_event(sent.arrived)
        for each in sent.tensors.values():
            # Its memory is of the copies' stream, which would give it to the next batch too soon.
            each.record_stream(passes)
        return sent.tensors

    def fetch(self, found: torch.Tensor) -> torch.Tensor:
        """See `Lane`."""
        host = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
        return host.copy_(found, non_blocking=True)

    def mark(self) -> Mark:
        """See `Lane`. Who waits for it sleeps: the cores decode meanwhile."""
        event = torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def record(self, work: DeviceWork, inputs: Tensors) -> CudaRecording:
        """See `Lane`."""
        return CudaRecording(work, inputs)
