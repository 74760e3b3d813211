"""Passes that are recorded: when, what for, and what becomes of those that cannot be."""

from collections.abc import Callable

import pytest
import torch

from imgcls_beam.classifying.feeding import Tensors
from imgcls_beam.classifying.lanes import DeviceWork
from imgcls_beam.classifying.recording import Recorder
from tests.lanes import LateLane, LateRecording


class Doubling:
    """Work that counts how often Python does it."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, inputs: Tensors) -> tuple[torch.Tensor, ...]:
        self.calls += 1
        return (inputs["x"] * 2, inputs["x"].sum(dim=1, keepdim=True))


class SilentRecording(LateRecording):
    """Replays without asking Python's work again, as a device does."""

    def replay(self, inputs: Tensors) -> tuple[torch.Tensor, ...]:
        for name, each in inputs.items():
            self.inputs[name].copy_(each)
        self.found[0].copy_(self.inputs["x"] * 2)
        self.found[1].copy_(self.inputs["x"].sum(dim=1, keepdim=True))
        return self.found


class BakedRecording(LateRecording):
    """Holds what it found once, as a graph of a model does that looked at its own values."""

    def replay(self, inputs: Tensors) -> tuple[torch.Tensor, ...]:
        del inputs
        return self.found


def draw(seed: int, images: int = 3) -> Tensors:
    return {"x": torch.rand((images, 4), generator=torch.Generator().manual_seed(seed))}


def check(found: tuple[torch.Tensor, ...], inputs: Tensors) -> None:
    for one, other in zip(found, Doubling()(inputs), strict=True):
        assert torch.equal(one, other)


def test_a_shape_that_comes_again_is_recorded_and_replayed() -> None:
    recorder, work = Recorder(LateLane(record=SilentRecording)), Doubling()
    for seed in range(3):
        check(recorder.run(work, draw(seed), "a"), draw(seed))
    before = work.calls
    for seed in range(3, 9):
        check(recorder.run(work, draw(seed), "a"), draw(seed))
    assert work.calls == before


def test_another_shape_and_other_work_have_recordings_of_their_own() -> None:
    recorder, work = Recorder(LateLane(record=SilentRecording)), Doubling()
    for seed in range(3):
        recorder.run(work, draw(seed), "a")
    before = work.calls
    check(recorder.run(work, draw(9, images=5), "a"), draw(9, images=5))
    check(recorder.run(work, draw(9), "b"), draw(9))
    assert work.calls == before + 2


def test_what_was_found_stays_when_the_next_batch_is_replayed() -> None:
    recorder, work = Recorder(LateLane(record=SilentRecording)), Doubling()
    found = [recorder.run(work, draw(seed), "a") for seed in range(8)]
    for seed, each in enumerate(found):
        check(each, draw(seed))


def refuse(work: DeviceWork, inputs: Tensors) -> LateRecording:
    del work, inputs
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize("record", [BakedRecording, refuse])
def test_what_cannot_be_recorded_runs_plain_from_then_on(
    record: Callable[[DeviceWork, Tensors], LateRecording],
) -> None:
    asked = []

    def count(work: DeviceWork, inputs: Tensors) -> LateRecording:
        asked.append(inputs)
        return record(work, inputs)

    recorder, work = Recorder(LateLane(record=count)), Doubling()
    for seed in range(8):
        check(recorder.run(work, draw(seed), "a"), draw(seed))
        check(recorder.run(work, draw(seed, images=2), "a"), draw(seed, images=2))
    assert len(asked) == 1


def test_no_more_than_four_are_held() -> None:
    recorder, work = Recorder(LateLane(record=SilentRecording)), Doubling()
    for images in range(1, 7):
        for seed in range(3):
            recorder.run(work, draw(seed, images), "a")
    before = work.calls
    for images in range(1, 7):
        check(recorder.run(work, draw(9, images), "a"), draw(9, images))
    assert work.calls == before + 2


def test_a_batch_that_does_not_fit_lets_go_of_what_recordings_hold() -> None:
    recorder, work = Recorder(LateLane(record=SilentRecording)), Doubling()
    for seed in range(3):
        recorder.run(work, draw(seed), "a")

    def fail(inputs: Tensors) -> tuple[torch.Tensor, ...]:
        raise torch.OutOfMemoryError(str(len(inputs)))

    with pytest.raises(torch.OutOfMemoryError):
        recorder.run(fail, draw(0, images=64), "a")
    before = work.calls
    check(recorder.run(work, draw(5), "a"), draw(5))
    assert work.calls > before
