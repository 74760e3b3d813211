"""Passes of one model at once: how many there are, and how long each took."""

import concurrent.futures
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from imgcls_beam.classifying import ClassifierCard, Logits
from imgcls_beam.classifying.running import RunningClassifier
from imgcls_beam.elements import ModelInputs
from imgcls_beam.scoring import EngineChoice

CARD = ClassifierCard(("cat", "dog"), "softmax", "cpu", "float32", 0)


class HeldRunner:
    """Each pass, which is named by its one pixel, ends when it may."""

    choice = EngineChoice("torch", "a test")

    def __init__(self, passes: int) -> None:
        self.began = [threading.Event() for _ in range(passes)]
        self.may = [threading.Event() for _ in range(passes)]

    def takes(self, batch: Sequence[ModelInputs]) -> bool:
        return True

    def stack(self, batch: Sequence[ModelInputs]) -> Any:
        return np.stack([each["pixel_values"] for each in batch])

    def run(self, stacked: Any) -> Logits:
        number = int(stacked[0, 0])
        self.began[number].set()
        assert self.may[number].wait(30)
        return np.zeros((len(stacked), 2), np.float32)


class Clock:
    """Shows the seconds that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def make_batch(number: int) -> list[ModelInputs]:
    return [{"pixel_values": np.array([number], np.uint8)}]


def test_what_two_passes_share_is_counted_once() -> None:
    runner, clock = HeldRunner(3), Clock()
    classifier = RunningClassifier(CARD, runner, lambda: runner, clock)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        passes = []
        for number in range(2):  # they begin at 0 and 1 s
            clock.now_s = float(number)
            passes.append(pool.submit(classifier.classify, make_batch(number)))
            assert runner.began[number].wait(30)
        found = []
        for number, end_s in ((1, 4.0), (0, 6.0)):  # and the second one ends first
            clock.now_s = end_s
            runner.may[number].set()
            found.append(passes[number].result(30).elapsed_ms)
    assert found == [3000.0, 2000.0]
    runner.may[2].set()
    assert classifier.classify(make_batch(2)).elapsed_ms == 0.0


def test_a_third_pass_waits_for_one_of_two() -> None:
    runner = HeldRunner(3)
    classifier = RunningClassifier(CARD, runner, lambda: runner)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        passes = [pool.submit(classifier.classify, make_batch(number)) for number in range(3)]
        began = [number for number in range(3) if runner.began[number].wait(0.5)]
        assert len(began) == 2
        for each in runner.may:
            each.set()
        assert all(each.result(30).logits.shape == (1, 2) for each in passes)
