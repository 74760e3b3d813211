"""A lane of the CPU that is as late as a GPU's: a copy has its content once it was waited for."""

import dataclasses
import threading
from collections.abc import Callable

import torch

from imgcls_beam.classifying.feeding import Tensors
from imgcls_beam.classifying.lanes import DeviceWork, Recorded, Sent


@dataclasses.dataclass
class LateMark:
    """A place in the queue; its clock is the number of copies before it."""

    lane: "LateLane"
    position: int

    def synchronize(self) -> None:
        self.lane.waits += 1
        self.lane.before_wait()
        with self.lane.lock:  # a device's queue has one order, whoever waits for it
            while self.lane.copied < self.position:
                host, found = self.lane.queue[self.lane.copied]
                with torch.inference_mode():
                    host.copy_(found)
                self.lane.copied += 1

    def elapsed_time(self, end: "LateMark") -> float:
        return 10.0 * (end.position - self.position)


class LateRecording:
    """Work that is done again in the same memory, as a graph's is."""

    def __init__(self, work: DeviceWork, inputs: Tensors) -> None:
        self.work, self.inputs = work, {name: each.clone() for name, each in inputs.items()}
        self.found = work(self.inputs)

    def replay(self, inputs: Tensors) -> tuple[torch.Tensor, ...]:
        for name, each in inputs.items():
            self.inputs[name].copy_(each)
        for place, found in zip(self.found, self.work(self.inputs), strict=True):
            place.copy_(found)
        return self.found


@dataclasses.dataclass
class LateLane:
    """Copies when it is waited for."""

    queue: list[tuple[torch.Tensor, torch.Tensor]] = dataclasses.field(default_factory=list)
    copied: int = 0
    waits: int = 0
    before_wait: Callable[[], object] = lambda: None
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    record: Callable[[DeviceWork, Tensors], Recorded] = LateRecording

    def send(self, stacked: Tensors) -> Sent:
        return Sent({name: torch.zeros_like(each) for name, each in stacked.items()}, stacked)

    def receive(self, sent: Sent) -> Tensors:
        for name, each in sent.arrived.items():
            sent.tensors[name].copy_(each)
        return sent.tensors

    def fetch(self, found: torch.Tensor) -> torch.Tensor:
        host = torch.full(found.shape, 9e9, dtype=found.dtype)
        self.queue.append((host, found))
        return host

    def mark(self) -> LateMark:
        return LateMark(self, len(self.queue))
