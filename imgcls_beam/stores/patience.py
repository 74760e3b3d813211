"""How long a store is waited for, and how often it is asked: the one layer of retries.

Clients have retries of their own, one inside the other: botocore's, s3fs's, gcsfs's, Google's. With
ours on top one object that was gone took 26 requests. So theirs are off (`s3_client`,
`gcs_client`), and what is tried again is tried here; images are tried by `reading`, whose
`tries` is then how often the store was asked.
"""

import asyncio
import contextlib
import contextvars
import dataclasses
import math
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from imgcls_beam.stores.client_faults import FaultKind, is_fault, kind_of
from imgcls_beam.stores.haste import find_haste

_AnswerT = TypeVar("_AnswerT")

BYTES_PER_S = 128 << 10
"""The slowest link on which everything is still read and written, for all that goes on at once."""

_SILENCE_VARIABLE = "IMGCLS_STORE_TIMEOUT_S"
_RETRIED_SILENCES, _LEAST_RETRY_S = 4, 20.0
"""Who bears less silence waits less all in all: for so many of them, and for so long at least."""
_MOST_WAIT_S, _BRIEF_WAIT_S = 4.0, 0.3
_BRIEF_WAITS = 7
"""So many are brief at the most: what goes on failing may be gone for a while by itself."""
_MOST_RETRIES, _RETRIES_PER_S = 200, 4.0
_POLL_S = 0.5
_shorter_s: contextvars.ContextVar[float] = contextvars.ContextVar("shorter_s", default=math.inf)


@dataclasses.dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often the requests of one client are tried.

    Attributes:
        tries: of a request, while its fault looks passing: more than `retry_s` has room for, so
            that a store is waited for as long whether it is silent or refuses at once.
        retry_s: after the first try; no other begins later.
        first_wait_s: before the second try; doubled from one to the next.
        connect_s: until a connection is there.
        silence_s: without a byte of the answer; see `bear_silence`.
        request_s: a whole request, and what its bytes take at `BYTES_PER_S` beside; None for no
            limit but the silence.
        sharing: how many requests share the link.
    """

    tries: int = 1000
    retry_s: float = 120.0
    first_wait_s: float = 0.5
    connect_s: float = 5.0
    silence_s: float = 30.0
    request_s: float | None = 60.0
    sharing: int = 1

    def find_silence_s(self) -> float:
        """How long a request that is made now may be without a byte of its answer."""
        return min(self.silence_s, _shorter_s.get())

    async def persist(
        self, request: Callable[[], Awaitable[_AnswerT]], size_bytes: int = 0
    ) -> _AnswerT:
        """Makes a request again while its fault looks passing.

        Args:
            request: makes it once.
            size_bytes: how much it sends, or is known to bring.

        Raises:
            Exception: what its last try raised; `TimeoutError` where that took too long.
        """
        if (haste := find_haste()).is_on:
            return await haste.ask_once(request)
        limit_s = None
        if self.request_s is not None:
            limit_s = find_limit_s(self.request_s, self.sharing * size_bytes)
        waits = iterate_waits(self.tries, self.first_wait_s, self.retry_s)
        retry_until_s = time.monotonic() + self.retry_s
        while True:
            try:
                answer = await asyncio.wait_for(request(), limit_s)
            except Exception as error:  # clients have exceptions of their own, and share no base
                wait_s = next(waits, None) if is_passing(error) else None
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
                if not await OTHER_RETRIES.take_meanwhile(retry_until_s - time.monotonic()):
                    raise
            else:
                if self.tries > 1:  # an image's, which its reader counts
                    OTHER_RETRIES.give_back(1)
                return answer


@contextlib.contextmanager
def bear_silence(silence_s: float) -> Iterator[None]:
    """Requests to buckets that are made meanwhile are given up after so long a silence.

    It goes with the context, as `contextvars` has it: from the thread that asks to the loop in
    which its request is made. So requests of different silences share a client, its connections
    and its credentials. What answers on the web may compute for seconds, and is left to.
    """
    token = _shorter_s.set(silence_s)
    try:
        yield
    finally:
        _shorter_s.reset(token)


def default_patience() -> Patience:
    """For listings and for folders; `IMGCLS_STORE_TIMEOUT_S` is the silence that is borne."""
    given = os.environ.get(_SILENCE_VARIABLE, "")
    try:
        silence_s = float(given)
    except ValueError:
        return Patience()
    usual = Patience()
    if not 0 < silence_s < float("inf"):
        return usual
    connect_s = min(usual.connect_s, silence_s)
    retry_s = min(usual.retry_s, max(_LEAST_RETRY_S, _RETRIED_SILENCES * silence_s))
    return Patience(
        retry_s=retry_s, connect_s=connect_s, silence_s=silence_s, request_s=2 * silence_s
    )


def find_limit_s(base_s: float, size_bytes: int) -> float:
    """How long a request may take that brings or sends so many bytes."""
    return base_s + size_bytes / BYTES_PER_S


def _is_never() -> bool:
    return False


def iterate_waits(
    tries: int, first_wait_s: float, retry_s: float, is_brief: Callable[[], bool] = _is_never
) -> Iterator[float]:
    """The wait before each other try, for as long as there is to be one.

    Args:
        tries: all in all.
        first_wait_s: in the mean, before the second.
        retry_s: after the first wait was asked for; no try begins later.
        is_brief: whether the next wait need not be long; asked before each of the first seven.
    """
    began = time.monotonic()
    for number in range(tries - 1):
        wait_s = find_wait_s(number, first_wait_s, is_brief=number < _BRIEF_WAITS and is_brief())
        if time.monotonic() - began + wait_s > retry_s:
            return
        yield wait_s


def find_wait_s(number: int, first_wait_s: float, *, is_brief: bool = False) -> float:
    """The wait after the try of this number, from 0: doubled each time, and jittered.

    4 s at most, and 0.3 s where it is brief. By half, so that workers that failed together do not
    return together.
    """
    most_s = min(_BRIEF_WAIT_S, _MOST_WAIT_S) if is_brief else _MOST_WAIT_S
    return min(first_wait_s * 2.0**number, most_s) * random.uniform(0.5, 1.5)


def is_passing(error: BaseException) -> bool:
    """Whether to ask again: it is no answer, or one that says to come back later."""
    return is_fault(error) and kind_of(error) in (FaultKind.UNREACHABLE, FaultKind.NO_CREDENTIALS)


class RetryBudget:
    """What the threads of a process may try again: as much as was answered, and 200 beside.

    Four more come with each second. A store that is overloaded gets the work of its clients once,
    and not four times. Whoever finds nothing left waits for it: so a store that is away for a while
    is asked four times a second, and what failed meanwhile is read when it is back.
    """

    def __init__(
        self, most: int = _MOST_RETRIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begins with all that may be tried again without an answer.

        Args:
            most: so many.
            clock: seconds.
        """
        self._lock = threading.Lock()
        self._most, self._left = most, float(most)
        self._clock, self._counted_s = clock, clock()

    def take(self, wanted: int) -> int:
        """How many of so many retries may be made now."""
        with self._lock:
            self._add(0)
            granted = min(wanted, int(self._left))
            self._left -= granted
        return granted

    def take_in_time(self, left_s: float, sleep: Callable[[float], object]) -> bool:
        """Waits until one may be made, and takes it.

        Args:
            left_s: so long at the most.
            sleep: waits so many seconds.

        Returns:
            Whether there was one in time.
        """
        polls = max(0, math.ceil(left_s / _POLL_S))
        while not self.take(1):
            if not polls:
                return False
            sleep(_POLL_S)
            polls -= 1
        return True

    async def take_meanwhile(self, left_s: float) -> bool:
        """`take_in_time` that lets other tasks of its loop go on."""
        polls = max(0, math.ceil(left_s / _POLL_S))
        while not self.take(1):
            if not polls:
                return False
            await asyncio.sleep(_POLL_S)
            polls -= 1
        return True

    def give_back(self, answers: int) -> None:
        """Notes requests that were answered."""
        with self._lock:
            self._add(answers)

    def _add(self, answers: int) -> None:
        now_s = self._clock()
        earned = answers + (now_s - self._counted_s) * _RETRIES_PER_S
        self._left, self._counted_s = min(self._left + earned, self._most), now_s


RETRIES = RetryBudget()
"""Of the images of this process."""

OTHER_RETRIES = RetryBudget()
"""Of its other requests: hosts of images that are gone leave enough to write what was found."""
