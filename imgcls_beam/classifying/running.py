"""A loaded model: its card, and the engine that runs it. Light: an engine brings what it needs."""

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from imgcls_beam.classifying.protocol import (
    Best,
    ClassifierCard,
    ForwardPass,
    Logits,
    RankedPass,
    RankSpec,
)
from imgcls_beam.elements import ModelInputs
from imgcls_beam.errors import ModelError
from imgcls_beam.scoring import EngineChoice

_PASSES = 2
"""At once, of a runner without a queue."""


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
        """What `stack` gave → logits, float32 (N, C). Two threads may call it at once.

        They share the cores of one pass, and may take turns.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What a runner gave for N images of C classes.

    Attributes:
        shape: N and C.
        logits: of each image, float32 (C,), or None where they are not wanted; one array of (N, C)
            where all are.
        elapsed_ms: see `ForwardPass`.
        best: of each image, where it was asked for; see `RankedPass`.
    """

    shape: tuple[int, ...]
    logits: Logits | Sequence[Logits | None]
    elapsed_ms: float
    best: Sequence[Best | None] = ()


class Queued(Protocol):
    """A pass that a device has before it."""

    def wait(self) -> Found:
        """Waits for its end; other passes may be queued meanwhile."""


@runtime_checkable
class QueueingRunner(Runner, Protocol):
    """A runner on a device that has a queue: several batches are under way at once."""

    def queue(self, stacked: Any, wanted: RankSpec | None) -> Queued:  # noqa: ANN401
        """Queues a pass over what `stack` gave, and waits for nothing.

        One thread calls it at a time. Where something is wanted, the device ranks.
        """


class Successor(Protocol):
    """What may give a faster runner while the model is in use."""

    def follow(self, elapsed_ms: float) -> Runner | EngineChoice | None:
        """Is told how long each pass took.

        Gives, once, the runner that takes over; or why the one that there is stays.
        """

    def settle(self) -> Runner | EngineChoice | None:
        """The same at once: waits until it is known."""


class RunningClassifier:
    """A `Classifier` over a runner, which another one may succeed between two passes."""

    def __init__(
        self,
        card: ClassifierCard,
        runner: Runner,
        load_other: Callable[[], Runner],
        clock_s: Callable[[], float] = time.perf_counter,
        successor: Successor | None = None,
    ) -> None:
        """Takes a model that is ready.

        Args:
            card: what it is.
            runner: runs it.
            load_other: loads the model for inputs of shapes that the runner does not take.
            clock_s: times its passes, in seconds.
            successor: may give another runner later.
        """
        ranks = isinstance(runner, QueueingRunner)
        self._card = dataclasses.replace(card, engine=runner.choice, ranks=ranks)
        self._runner, self._load_other, self._clock_s = runner, load_other, clock_s
        self._other: Runner | None = None
        self._successor = successor
        self._stays: EngineChoice | None = None
        # Harness threads call one model at once: more than two would only share its cores. Where it
        # has a queue they take turns to fill that.
        self._passes = threading.BoundedSemaphore(_PASSES)
        self._turn = threading.Lock()
        self._ended_s = -math.inf

    def describe(self) -> ClassifierCard:
        """What this model is."""
        return self._card

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
        """One forward pass, see `Classifier.classify`.

        Raises:
            ModelError: the model gives another number of scores than it has labels.
        """
        runner = self._find_runner(batch)
        found = self._run(runner, batch, None)
        assert isinstance(found.logits, np.ndarray)
        return ForwardPass(found.logits, found.elapsed_ms, engine=self._explain(runner))

    def rank(self, batch: Sequence[ModelInputs], wanted: RankSpec) -> RankedPass:
        """One forward pass, see `Classifier.rank`.

        Raises:
            ModelError: the model gives another number of scores than it has labels.
        """
        runner = self._find_runner(batch)
        found = self._run(runner, batch, wanted)
        best = found.best or [None] * len(batch)
        return RankedPass(best, list(found.logits), found.elapsed_ms, engine=self._explain(runner))

    def _run(self, runner: Runner, batch: Sequence[ModelInputs], wanted: RankSpec | None) -> Found:
        stacked = runner.stack(batch)
        if isinstance(runner, QueueingRunner):
            with self._turn:
                queued = runner.queue(stacked, wanted)
            found = queued.wait()
        else:
            found = self._run_here(runner, stacked)
        count = len(self._card.labels)
        if found.shape != (len(batch), count):
            raise ModelError(f"the model gives scores of shape {found.shape} for {count} labels")
        return found

    def _run_here(self, runner: Runner, stacked: Any) -> Found:  # noqa: ANN401
        with self._passes:
            start_s = self._clock_s()
            logits = runner.run(stacked)
            with self._turn:
                end_s = self._clock_s()
                # Less what it shared with the pass before: the times of all add up.
                elapsed_ms = max(0.0, end_s - max(start_s, self._ended_s)) * 1e3
                self._ended_s = max(end_s, self._ended_s)
                if self._successor is not None:
                    self._take(self._successor.follow(elapsed_ms))
        return Found(logits.shape, logits, elapsed_ms)

    def settle(self) -> None:
        """Finds out at once which engine is the fastest, in the place of beside a long run."""
        with self._turn:
            if self._successor is not None:
                self._take(self._successor.settle())

    def _take(self, found: Runner | EngineChoice | None) -> None:
        """Lets a runner take over. Batches that were stacked for the one before end with it."""
        if isinstance(found, EngineChoice):
            self._stays, self._successor = found, None
            self._card = dataclasses.replace(self._card, engine=found)
        elif found is not None:
            self._runner, self._successor = found, None
            self._card = dataclasses.replace(self._card, engine=found.choice)

    def _explain(self, runner: Runner) -> EngineChoice:
        """Which engine a runner is of, and why, by what is known now."""
        if self._stays is not None and runner is self._runner:
            return self._stays
        return runner.choice

    def _find_runner(self, batch: Sequence[ModelInputs]) -> Runner:
        runner = self._runner
        if runner.takes(batch):
            return runner
        with self._turn:
            if self._other is None:
                self._other = self._load_other()
            return self._other
