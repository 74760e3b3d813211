"""A decode child whose codecs fail: what an image begins with says how.

It is the real program, locked as always, but for the function that decodes.
"""

import ctypes
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from imgcls_beam.sandbox import decode_child
from imgcls_beam.sandbox.asked_work import AskedWork
from imgcls_beam.sandbox.child_work import Done

PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from tests.sick_child import main; main(sys.argv[1])"
)


def hang() -> None:
    while True:
        pass


def sleep() -> None:
    while True:
        time.sleep(1)


def keep_busy(seconds: float) -> None:
    end_s = decode_child._read_used_s() + seconds  # another clock it may not ask
    while decode_child._read_used_s() < end_s:
        pass


_TIMERS = (signal.ITIMER_PROF, signal.ITIMER_REAL)


def forget_time(go_on: Callable[[], None], timers: Sequence[int] = _TIMERS) -> None:
    """As code would that has taken the process over: these timers of its own do not end it."""
    for timer in timers:
        signal.setitimer(timer, 0)
    go_on()


def take_memory() -> None:
    bytearray(64 << 30)


_FAULTS: dict[bytes, Callable[[], Any]] = {
    b"SEGV": functools.partial(ctypes.string_at, 0),
    b"ABRT": os.abort,
    b"EXIT": functools.partial(os._exit, 3),
    b"HANG": hang,
    b"DOZE": sleep,
    b"BURN": functools.partial(forget_time, hang, (signal.ITIMER_REAL,)),
    b"SPIN": functools.partial(forget_time, hang),
    b"WAIT": functools.partial(forget_time, sleep),
    b"MEMO": take_memory,
}
SLOW, SLOW_S = b"SLOW", 0.4
"""What stands before an image that takes so much of the processor, and is decoded then."""
_LIES: dict[bytes, dict[str, Any]] = {
    b"LIE1": {"results": [{"size": [1 << 20, 1 << 20]}]},
    b"LIE2": {"x" * 70_000: 1},
    b"LIE3": {"ask": "room", "bytes": (2 << 30) + 1},
}
_ASKS, _ASKED_BYTES = b"LIE4", 17 << 20
"""It asks for memory again and again, and never comes to an end."""


def main(argument: str) -> None:
    """See `decode_child.main`."""
    real = decode_child.prepare_apart

    def prepare(data: bytes, work: AskedWork, before_load: Callable[[int], object]) -> Done:
        name = bytes(data[:4])
        if name in _FAULTS:
            _FAULTS[name]()
        if name in _LIES:
            return Done({**_LIES[name]}, [])
        if name == SLOW:
            keep_busy(SLOW_S)
            data = data[len(SLOW) :]
        while name == _ASKS:
            before_load(_ASKED_BYTES)
        return real(data, work, before_load)

    decode_child.prepare_apart = prepare
    decode_child.main(argument)


LIES = tuple(each.decode() for each in (*_LIES, _ASKS))

if __name__ == "__main__":
    main(sys.argv[1])
