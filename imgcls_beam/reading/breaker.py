"""A store that is gone ends the run, in place of an error row for each of a million images.

One object that its store does not deliver is a row. When none of the last 64 objects that this
process has asked for was delivered, whatever store they lie in, and that for half a minute, it is
no fault of theirs.
"""

import dataclasses
import datetime
import functools
import threading
import time
from collections.abc import Callable, Sequence

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import FailureCode, StoreError
from imgcls_beam.reading.ranges import Asking
from imgcls_beam.reading.read import begin_images
from imgcls_beam.reading.shared_reads import Begun, Given, LateRead, Result
from imgcls_beam.stores import show_store

_OBJECTS = 64
_GONE_S = 30.0
_PAUSE_S = 2.0
_WITHOUT_AN_ANSWER = (
    FailureCode.INVALID_REFERENCE,
    FailureCode.TOO_MANY_BYTES,
    FailureCode.EMPTY,
)
"""Codes of objects that may have been judged without a request."""


class Breaker:
    """What the threads of this process were delivered lately."""

    def __init__(
        self,
        objects: int = _OBJECTS,
        gone_s: float = _GONE_S,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Begins with a store that answers.

        Args:
            objects: so many must have failed, one after the other.
            gone_s: for so long.
            clock: seconds since 1970.
            sleep: waits so many seconds.
        """
        self._lock = threading.Lock()
        self._objects, self._gone_s = objects, gone_s
        self._clock, self._sleep = clock, sleep
        self._failed, self._since, self._answered = 0, 0.0, 0.0

    def wait(self) -> None:
        """Before a batch: where nothing is delivered any more it waits, so that little is lost."""
        if self._failed >= self._objects:
            self._sleep(_PAUSE_S)

    def note(self, results: Sequence[Result], began: float) -> None:
        """Notes what became of a batch of objects.

        Args:
            results: of what was read, and of nothing else.
            began: when it was asked for, by the clock.

        Raises:
            StoreError: nothing has been delivered for too long.
        """
        results = [each for each in results if not _may_be_unasked(each)]
        gone = [each for each in results if _is_silence(each)]
        if not results:
            return
        with self._lock:
            if len(gone) < len(results):
                self._failed, self._answered = 0, self._clock()
                return
            # One that was asked for again and again began long before the last answer.
            self._since = self._since if self._failed else max(began, self._answered)
            self._failed += len(gone)
            if self._failed < self._objects or self._clock() - self._since < self._gone_s:
                return
            failed, self._failed = self._failed, 0
        since = datetime.datetime.fromtimestamp(self._since, datetime.UTC)
        store = show_store(gone[-1].ref.object_uri)
        raise StoreError(
            f"{store} does not answer since {since:%H:%M:%S} UTC: none of "
            f"the last {failed} images could be read there; start the run again when it does"
        )

    def now(self) -> float:
        """By the clock."""
        return self._clock()


BREAKER = Breaker()
"""Of this process."""


def begin_or_give_up(refs: Sequence[Given], asking: Asking) -> list[Begun]:
    """`begin_images`, for a run that ends when its store is gone.

    Raises:
        StoreError: that; and so may a result that is to come.
    """
    BREAKER.wait()
    began = BREAKER.now()
    asking = dataclasses.replace(asking, conclude=functools.partial(_note, began))
    begun = begin_images(refs, asking)
    read = [
        result
        for given, result in zip(refs, begun, strict=True)
        if isinstance(given, ImageRef) and not isinstance(result, LateRead)
    ]
    if read:
        BREAKER.note(read, began)
    return begun


def _note(began: float, result: Result) -> None:
    BREAKER.note([result], began)


def _may_be_unasked(result: Result) -> bool:
    """Whether it is judged by its name or its listed size, so that it says nothing of its store."""
    return isinstance(result, Failure) and result.code in _WITHOUT_AN_ANSWER


def _is_silence(result: Result) -> bool:
    return isinstance(result, Failure) and result.code is FailureCode.UNAVAILABLE
