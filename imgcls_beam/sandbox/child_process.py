"""A decode child as the process that started it sees it."""

import collections
import contextlib
import enum
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from imgcls_beam.sandbox.child_lines import ChildLines
from imgcls_beam.sandbox.frames import (
    GO,
    MAX_BYTES,
    REST,
    BrokenFrameError,
    Message,
    read_frame,
    write_frame,
)
from imgcls_beam.sandbox.locking import LOCKS
from imgcls_beam.sandbox.shared_slot import SharedSlot
from imgcls_beam.sandbox.starting import start_program

_ResultT = TypeVar("_ResultT")
Take = Callable[[Sequence[Message], SharedSlot], _ResultT]

_TICK_MS = 250
"""So often it is asked whether a message takes too long."""
_START_S = 120
_LAST_S = 1.0
"""So long one that says nothing any more has time to end by itself, which tells why."""
_MAX_ASKED = 8
"""Permissions that decoding one image may need."""
_OF_TIMERS = (signal.SIGALRM, signal.SIGPROF)


class Ending(enum.Enum):
    """What ended a child, or had to."""

    CRASHED = "crashed"
    OVERDUE = "overdue"
    OUT_OF_MEMORY = "out of memory"


class ChildEndedError(Exception):
    """The child is gone, and with it what was asked of it."""

    def __init__(self, ending: Ending, how: str) -> None:
        """Keeps why, and in what way: `SIGSEGV`, or `exit code 1`."""
        super().__init__(ending, how)
        self.ending = ending
        self.how = how


class Errand(NamedTuple):
    """What is asked of a child in one message.

    Attributes:
        images: encoded: one, or several small ones.
        work: what is wanted of each, see `write_work`.
        max_seconds: of the processor, for all of them; twice as many by the clock.
        permit: is called with the bytes that decoding takes, before it takes them, where they are
            many, and waits until that may be.
    """

    images: Sequence[bytes]
    work: str
    max_seconds: int
    permit: Callable[[int], object]


class DecodeChild:
    """A started child. Several threads may use it, each a slot of its own.

    Attributes:
        held: of `locking.LOCKS` those that hold in it.
    """

    def __init__(self, memory_bytes: int) -> None:
        """Starts one, and waits until it is locked.

        Args:
            memory_bytes: of its own that it may have.

        Raises:
            OSError: it cannot be started; AttributeError: the system has no memory to share.
            ChildEndedError: it has ended before it was ready.
        """
        self._lock = threading.Lock()
        self._order: collections.deque[int] = collections.deque()
        self._began_s = self._began_cpu_s = 0.0
        self._overdue: int | None = None
        self._is_killed = False
        self._is_rested, self._is_waiting = True, False
        self._memory_bytes = memory_bytes
        self._lines = ChildLines()
        try:
            told = {"starter": os.getpid(), "memory_bytes": memory_bytes, **self._lines.told}
            self._process = start_program(told, self._lines.theirs)
        except BaseException:
            self._lines.close()
            raise
        self._lines.let_go()
        try:
            self.held = self._greet()
        except BaseException:
            self.close()
            raise

    def ask(self, slot: int, errand: Errand, take: Take[_ResultT]) -> _ResultT:
        """Has images decoded.

        Args:
            slot: which nobody else uses.
            errand: the images, and what is wanted.
            take: reads the answers, one for each image, and copies what is in the slot. A
                `ValueError`, `TypeError` or `KeyError` that it raises means that the child is not
                to be believed.

        Raises:
            ChildEndedError: the child is gone.
        """
        shared = self._lines.slots[slot]
        shared.put(errand.images)
        lengths = list(map(len, errand.images))
        request = {"slot": slot, "bytes": lengths, "room": shared.size_bytes, "work": errand.work}
        read = self._make_reader(slot, lambda: self._check_time(slot, errand.max_seconds))
        try:
            self._send(slot, json.dumps(request).encode())
            result = take([self._listen(slot, errand, read) for _ in lengths], shared)
            self._finish(slot)
            return result
        except (OSError, BrokenFrameError, ValueError, TypeError, KeyError) as error:
            raise self._bury(slot) from error
        finally:
            shared.rest()

    def rest(self) -> None:
        """Has it give back memory that it keeps for its next images.

        At once where it waits for a permission, else behind the messages that it has.
        """
        with self._lock, contextlib.suppress(OSError):  # it may be gone
            if self._is_rested:
                return
            self._is_rested = True
            if self._is_waiting:
                os.write(self._lines.permissions, REST)
            else:
                write_frame(self._lines.requests, b"{}")

    def end(self) -> None:
        """Ends it; who waits for an answer is told."""
        self._kill()
        self._process.wait()

    def close(self) -> None:
        """Ends it, and gives back what it has; nobody may use it any more."""
        self.end()
        self._lines.close()

    def _greet(self) -> tuple[str, ...]:
        end_s = time.monotonic() + _START_S

        def check() -> None:
            if time.monotonic() > end_s:
                self._kill()

        try:
            message = read_frame(self._make_reader(0, check))
        except (OSError, BrokenFrameError) as error:
            raise self._bury(0) from error
        if message is None:
            raise self._bury(0)
        return tuple(each for each in LOCKS if each in message.get("held", ()))

    def _send(self, slot: int, message: bytes) -> None:
        with self._lock:
            self._order.append(slot)
            self._is_rested = False
            if len(self._order) == 1:
                self._begin()
            write_frame(self._lines.requests, message)

    def _listen(self, slot: int, errand: Errand, read: Callable[[int], bytes]) -> Message:
        """The next answer; permissions that are asked for meanwhile are given.

        Raises:
            BrokenFrameError: the child has ended, or says what it cannot say.
        """
        for _ in range(_MAX_ASKED * len(errand.images)):
            message = read_frame(read)
            if message is None:
                raise BrokenFrameError("no answer")
            if message.get("ask") not in ("turn", "room"):
                return message
            with self._lock:
                self._is_waiting = True
            if message["ask"] == "turn":
                errand.permit(_to_count(message["bytes"], 1 << 62))
            else:
                needed = _to_count(message["bytes"], self._memory_bytes)
                self._lines.slots[slot].grow(needed)
            self._allow()
        raise BrokenFrameError("too many permissions")

    def _allow(self) -> None:
        """Gives the permission that it waits for; what it takes then it may keep."""
        with self._lock:
            self._is_waiting = self._is_rested = False
            self._began_s = time.monotonic()
            os.write(self._lines.permissions, GO)

    def _make_reader(self, slot: int, check: Callable[[], None]) -> Callable[[int], bytes]:
        descriptor = self._lines.replies[slot]
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)

        held = b""

        def read(length: int) -> bytes:
            nonlocal held
            if not held:  # a message is read at once: each wait gives up Python's lock
                while not poll.poll(_TICK_MS):
                    check()
                held = os.read(descriptor, MAX_BYTES)
            part, held = held[:length], held[length:]
            return part

        return read

    def _begin(self) -> None:
        """Notes that the oldest message is under way now."""
        self._began_s, self._began_cpu_s = time.monotonic(), self._find_cpu_s()

    def _finish(self, slot: int) -> None:
        with self._lock:
            self._order.remove(slot)
            if self._order:
                self._begin()

    def _check_time(self, slot: int, max_seconds: int) -> None:
        """Ends the child where its oldest message, which is this one, takes too long."""
        with self._lock:
            elapsed_s = time.monotonic() - self._began_s
            if self._order[0] != slot or elapsed_s < max_seconds or self._is_killed:
                return
            used_s = self._find_cpu_s() - self._began_cpu_s
            if elapsed_s >= 2 * max_seconds or used_s >= max_seconds:
                self._overdue = slot
        if self._overdue == slot:
            self._kill()

    def _find_cpu_s(self) -> float:
        """What the child has had of the processor; 0 where it is gone."""
        try:
            return time.clock_gettime((~self._process.pid << 3) | 2)  # as `clock_getcpuclockid`
        except OSError:
            return 0.0

    def _kill(self) -> None:
        with self._lock:
            self._is_killed = True
            self._process.kill()

    def _bury(self, slot: int) -> ChildEndedError:
        """Ends it if it has not ended, and says what that was to the message of this slot."""
        was_killed = self._is_killed
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_LAST_S)
        code = self._process.returncode
        self.end()
        is_oldest = bool(self._order) and self._order[0] == slot
        if self._overdue == slot or (is_oldest and code is not None and -code in _OF_TIMERS):
            return ChildEndedError(Ending.OVERDUE, "time")
        if code == -signal.SIGKILL and not was_killed:
            return ChildEndedError(Ending.OUT_OF_MEMORY, "SIGKILL")
        if code is None:
            return ChildEndedError(Ending.CRASHED, "an answer that cannot be")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return ChildEndedError(Ending.CRASHED, how)


def _to_count(value: object, most: int) -> int:
    """What a child says, if it is a number that it may say.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError("no such number")
    return value
