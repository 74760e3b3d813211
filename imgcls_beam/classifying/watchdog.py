"""Passes of a model are watched: one that does not come back ends the process, with a sentence."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator

from imgcls_beam.stopping import stop_process

FIRST_S = 1800.0
"""For the first pass of a process, in which much is made once."""
LEAST_S = 300.0
"""For any later pass, and …"""
PACE_RATIO = 50.0
"""… so many times the slowest one so far: threads wait for each other, and machines are shared."""
_TICK_S = 1.0
_MOST_TICKS = 2.0
"""A process that was stopped and goes on (Ctrl-Z, a laptop that slept) has not been held up."""


class Watchdog:
    """Watches the passes of one process; threads share it."""

    def __init__(
        self,
        stop: Callable[[str], None] = stop_process,
        tick_s: float = _TICK_S,
        first_s: float = FIRST_S,
        least_s: float = LEAST_S,
    ) -> None:
        """Takes what ends the process, how often to look, and the limits, in seconds."""
        self._stop, self._tick_s = stop, tick_s
        self._first_s, self._least_s = first_s, least_s
        self._lock = threading.Lock()
        self._held_s: dict[int, float] = {}
        self._slowest_s: float | None = None
        self._watcher: tuple[int, threading.Thread] | None = None

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """A pass of this thread."""
        thread, start_s = threading.get_ident(), time.monotonic()
        with self._lock:
            self._held_s[thread] = 0.0
            self._start()
        try:
            yield
        finally:
            with self._lock:
                self._held_s.pop(thread, None)
                took_s = time.monotonic() - start_s
                self._slowest_s = max(self._slowest_s or 0.0, took_s)

    def _start(self) -> None:
        pid = os.getpid()  # a process that is forked has no threads
        if self._watcher is None or self._watcher[0] != pid or not self._watcher[1].is_alive():
            thread = threading.Thread(target=self._look_on, name="imgcls-watchdog", daemon=True)
            self._watcher = pid, thread
            thread.start()

    def _look_on(self) -> None:
        last_s = time.monotonic()
        while True:
            time.sleep(self._tick_s)
            now_s = time.monotonic()
            passed_s, last_s = min(now_s - last_s, _MOST_TICKS * self._tick_s), now_s
            if reason := self._find_reason(passed_s):
                self._stop(reason)
                return

    def _find_reason(self, passed_s: float) -> str | None:
        with self._lock:
            for thread in self._held_s:
                self._held_s[thread] += passed_s
            longest_s = max(self._held_s.values(), default=0.0)
            slowest_s = self._slowest_s
            if slowest_s is None:
                limit_s, others = self._first_s, "it was the first one"
            else:
                limit_s = max(self._least_s, PACE_RATIO * slowest_s)
                others = f"the slowest one before took {slowest_s:.1f} s"
            if longest_s <= limit_s:
                return None
            self._held_s.clear()
        return f"the model has not come back from a pass for {longest_s:,.0f} s ({others})"


WATCHDOG = Watchdog()
"""The one of this process."""
