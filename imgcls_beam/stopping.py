"""Ends a run whose fault is found by a thread that cannot end it: a model that never comes back.

A thread cannot be killed. So a worker of Beam exits, and its runner tries elsewhere; in any other
process the main thread is interrupted, as by Ctrl-C. A program of ours then says the reason.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator

from imgcls_beam.board import leave_word

_LOG = logging.getLogger(__name__)
_WORKER = "apache_beam.runners.worker.sdk_worker_main"
_GRACE_S = 30.0
"""After which a program of ours ends, even if its main thread is held up itself."""
_FAILED = 1


class Run:
    """What a program of ours runs now.

    Attributes:
        reason: why it has to end; None as long as it may go on.
    """

    def __init__(self, abandon: Callable[[], None]) -> None:
        """One that may go on; `abandon` removes what it has written so far."""
        self.reason: str | None = None
        self._abandon = abandon
        self._is_over = threading.Event()

    def end_later(self) -> None:
        """Ends the process where the run is not over in time: nobody else can."""
        if self._is_over.wait(_GRACE_S):
            return
        cleaner = threading.Thread(target=self._abandon, name="imgcls-abandon", daemon=True)
        cleaner.start()
        cleaner.join(_GRACE_S)  # its store may be gone, too
        sys.stderr.write(f"imgcls: the run failed and nothing was published ({self.reason})\n")
        sys.stderr.flush()
        os._exit(_FAILED)

    def close(self) -> None:
        """It is over."""
        self._is_over.set()


_runs: list[Run] = []
_state = types.SimpleNamespace(has_stopped=False)


@contextlib.contextmanager
def stoppable(abandon: Callable[[], None]) -> Iterator[Run]:
    """A run of a program of ours, which takes `KeyboardInterrupt` and then asks for the reason.

    Args:
        abandon: removes what the run has written so far, unless it is published.
    """
    run = Run(abandon)
    _runs.append(run)
    try:
        yield run
    finally:
        _runs.remove(run)
        run.close()


def stop_process(reason: str) -> None:
    """Ends this process, or the run in it; comes back, unless this is a worker.

    Args:
        reason: a sentence.
    """
    _LOG.critical("%s", reason)
    _state.has_stopped = True
    if is_worker():
        leave_word(reason)
        sys.stderr.flush()
        os._exit(_FAILED)
    for run in _runs:
        if run.reason is None:
            run.reason = reason
            threading.Thread(target=run.end_later, name="imgcls-end", daemon=True).start()
    _interrupt_main()


def hold_up() -> None:
    """A thread of this process may be held up for ever, of a library that waits for another one."""
    _state.has_stopped = True


def has_stopped() -> bool:
    """Whether a thread of this process is held up for ever: its end would be waited for."""
    return bool(_state.has_stopped)


def is_worker() -> bool:
    """Whether this process works for another one, which starts others where it is gone."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    is_harness = spec is not None and spec.name == _WORKER
    return is_harness or multiprocessing.parent_process() is not None


def _interrupt_main() -> None:
    """As Ctrl-C; a program that was started in the background may not hear that, but SIGTERM."""
    main = threading.main_thread()
    if not main.is_alive():  # it waits for this very thread to end
        os._exit(_FAILED)
    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(signal.getsignal(number)) and main.ident is not None:
            signal.pthread_kill(main.ident, number)
            return
