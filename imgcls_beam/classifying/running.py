"""A loaded model: its card, and the engine that runs it. Light: an engine brings what it needs."""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from imgcls_beam.classifying.protocol import ClassifierCard, ForwardPass, Logits
from imgcls_beam.elements import ModelInputs
from imgcls_beam.errors import ModelError
from imgcls_beam.scoring import EngineChoice


class Runner(Protocol):
    """The form of a model that can be run: what an engine made of it."""

    @property
    def choice(self) -> EngineChoice:
        """Which engine, and why."""

    def takes(self, batch: Sequence[ModelInputs]) -> bool:
        """Whether it was made for inputs of these shapes."""

    def stack(self, batch: Sequence[ModelInputs]) -> Any:  # noqa: ANN401  each has its own form
        """(…) each → (N, …) on the host."""

    def run(self, stacked: Any) -> Logits:  # noqa: ANN401
        """What `stack` gave → logits, float32 (N, C). One thread calls it at a time."""


class RunningClassifier:
    """A `Classifier` over a runner."""

    def __init__(
        self,
        card: ClassifierCard,
        runner: Runner,
        load_other: Callable[[], Runner],
        clock_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Takes a model that is ready.

        Args:
            card: what it is.
            runner: runs it.
            load_other: loads the model for inputs of shapes that the runner does not take.
            clock_s: times its passes, in seconds.
        """
        self._card = dataclasses.replace(card, engine=runner.choice)
        self._runner, self._load_other, self._clock_s = runner, load_other, clock_s
        self._other: Runner | None = None
        # Harness threads call one model at once: together they would only share its cores, each
        # with activations of its own.
        self._turn = threading.Lock()

    def describe(self) -> ClassifierCard:
        """What this model is."""
        return self._card

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
        """One forward pass, see `Classifier.classify`.

        Raises:
            ModelError: the model gives another number of scores than it has labels.
        """
        runner = self._find_runner(batch)
        stacked = runner.stack(batch)
        with self._turn:
            start_s = self._clock_s()
            logits = runner.run(stacked)
            elapsed_ms = (self._clock_s() - start_s) * 1e3
        count = len(self._card.labels)
        if logits.shape != (len(batch), count):
            raise ModelError(f"the model gives scores of shape {logits.shape} for {count} labels")
        return ForwardPass(logits, elapsed_ms, engine=runner.choice)

    def _find_runner(self, batch: Sequence[ModelInputs]) -> Runner:
        if self._runner.takes(batch):
            return self._runner
        with self._turn:
            if self._other is None:
                self._other = self._load_other()
            return self._other
