"""A pass that does not come back ends the process, with a sentence; others do not."""

import itertools
import threading
import time
import types

import pytest

from imgcls_beam.classifying import watchdog
from imgcls_beam.classifying.watchdog import Watchdog


class Held:
    """A watchdog that looks very often, and what it has said."""

    def __init__(self, first_s: float, least_s: float) -> None:
        self.said: list[str] = []
        self.has_said = threading.Event()
        self.dog = Watchdog(self._hear, tick_s=0.005, first_s=first_s, least_s=least_s)

    def _hear(self, reason: str) -> None:
        self.said.append(reason)
        self.has_said.set()


def test_a_first_pass_that_does_not_come_back_is_said() -> None:
    held = Held(first_s=0.05, least_s=1e6)
    with held.dog.watch():
        assert held.has_said.wait(60)
    assert held.said[0].startswith("the model has not come back from a pass for ")
    assert held.said[0].endswith("s (it was the first one)")


def test_a_later_pass_is_held_to_the_slowest_before() -> None:
    held = Held(first_s=1e6, least_s=0.05)
    with held.dog.watch():
        pass
    with held.dog.watch():
        assert held.has_said.wait(60)
    assert "the slowest one before took 0.0 s" in held.said[0]


def test_passes_that_come_back_are_not_said_and_one_thread_looks_on() -> None:
    held = Held(first_s=1e6, least_s=1e6)
    before = threading.active_count()
    for _ in range(100):
        with held.dog.watch():
            pass
    assert threading.active_count() == before + 1
    assert held.said == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_time_in_which_a_process_stands_still_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-Z, a laptop that slept: between two looks there are hours."""
    held = Held(first_s=0.05, least_s=0.05)
    hours = itertools.count(step=3600)
    looks = iter(range(3))

    def sleep(seconds: float) -> None:
        own = held.dog._watcher
        if own is not None and threading.current_thread() is own[1]:
            next(looks)  # ends the thread
        else:  # that of a watchdog of a test before
            time.sleep(seconds)

    clock = types.SimpleNamespace(monotonic=lambda: float(next(hours)), sleep=sleep)
    monkeypatch.setattr(watchdog, "time", clock)
    with held.dog.watch():
        assert held.dog._watcher is not None
        held.dog._watcher[1].join(60)
        assert list(held.dog._held_s.values()) == [3 * 2 * 0.005]
    assert held.said == []


def test_each_thread_is_watched_by_itself() -> None:
    held = Held(first_s=0.5, least_s=0.5)
    comes_back = threading.Event()

    def stay() -> None:
        with held.dog.watch():
            comes_back.wait(60)

    thread = threading.Thread(target=stay)
    thread.start()
    while not held.dog._held_s:
        pass
    for _ in range(5):
        with held.dog.watch():
            pass
    assert held.has_said.wait(60)
    comes_back.set()
    thread.join()
