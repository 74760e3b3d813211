"""An interrupt that waits for what must not be cut in two: a job that is handed to its service."""

import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LIMIT_S = 30.0
"""For which a signal waits: a service may never answer."""


@contextlib.contextmanager
def hold_signals(limit_s: float = _LIMIT_S) -> Iterator[None]:
    """The first SIGINT or SIGTERM waits for the end of the block; the second does not.

    Args:
        limit_s: after which the first does not wait any longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled elsewhere
        return
    before: dict[int, Any] = {each: signal.getsignal(each) for each in _SIGNALS}
    held: list[int] = []
    act = functools.partial(_act, before, held, limit_s)
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, act)
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
        if held:
            number = held.pop()
            before[number](number, None)


def _act(
    before: dict[int, Callable[[int, object], object]],
    held: list[int],
    limit_s: float,
    number: int,
    frame: object,
) -> None:
    if held:
        held.clear()
        before[number](number, frame)
        return
    held.append(number)
    main = threading.main_thread().ident
    assert main is not None  # it runs this
    again = threading.Timer(limit_s, _send_if, (held, number, main))
    again.daemon = True
    again.start()


def _send_if(held: list[int], number: int, thread: int) -> None:
    if held:
        signal.pthread_kill(thread, number)
