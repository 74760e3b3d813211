"""A store that is gone ends the run, in place of an error row for each of a million images.

One object that its store does not deliver is a row. When none of the last 64 objects that this
process has asked for was delivered, and that for half a minute, it is no fault of theirs. Stores of
one kind (all of S3, all of the web, the machine's own disks) are one here: they fail together where
the network or the credentials do, and one dead host of many is no reason to end a run. An archive
that is not delivered is one object, however many images lie in it: it takes four of them.
"""

import dataclasses
import datetime
import functools
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import FailureCode, StoreError
from imgcls_beam.reading.faults import EXPIRED_CREDENTIALS
from imgcls_beam.reading.ranges import Asking
from imgcls_beam.reading.read import begin_images
from imgcls_beam.reading.shared_reads import Begun, Given, LateRead, Result
from imgcls_beam.stores import STORE_NAMES, show_store, split_url

_IMAGES = 64
_OBJECTS = 4
"""At the least, that the images lie in."""
_GONE_S = 30.0
_PAUSE_S = 2.0
_WITHOUT_AN_ANSWER = (
    FailureCode.INVALID_REFERENCE,
    FailureCode.TOO_MANY_BYTES,
    FailureCode.EMPTY,
)
"""Codes of objects that may have been judged without a request."""


@dataclasses.dataclass(slots=True)
class _Silence:
    """What stores of one kind have not delivered since they delivered something.

    Attributes:
        images: that were not.
        objects: that they lie in, by their URIs; as many as are needed to end a run.
        is_expired: whether the last of them was refused to expired credentials.
        since: when the first of them was asked for, in seconds since 1970.
        answered: when something was delivered last.
    """

    images: int = 0
    objects: set[str] = dataclasses.field(default_factory=set)
    is_expired: bool = False
    since: float = 0.0
    answered: float = 0.0

    def add(self, gone: Sequence[Failure]) -> None:
        """Counts images that were not delivered."""
        self.images += len(gone)
        self.is_expired = gone[-1].message == EXPIRED_CREDENTIALS
        for each in gone:
            if len(self.objects) < _OBJECTS:
                self.objects.add(each.ref.object_uri)

    @property
    def is_of_few(self) -> bool:
        """Whether it may be the fault of a few objects; credentials are that of none."""
        return len(self.objects) < _OBJECTS and not self.is_expired


class Breaker:
    """What the threads of this process were delivered lately."""

    def __init__(
        self,
        images: int = _IMAGES,
        gone_s: float = _GONE_S,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Begins with stores that answer.

        Args:
            images: so many must have failed, one after the other.
            gone_s: for so long.
            clock: seconds since 1970.
            sleep: waits so many seconds.
        """
        self._lock = threading.Lock()
        self._images, self._gone_s = images, gone_s
        self._clock, self._sleep = clock, sleep
        self._silences: dict[str, _Silence] = {}

    def wait(self, refs: Iterable[Given]) -> None:
        """Before a batch: where nothing is delivered any more it waits, so that little is lost."""
        kinds = {_kind_of(each) for each in refs if isinstance(each, ImageRef)}
        with self._lock:
            silences = [self._silences[each] for each in kinds if each in self._silences]
            is_gone = any(each.images >= self._images for each in silences)
        if is_gone:
            self._sleep(_PAUSE_S)

    def note(self, results: Sequence[Result], began: float) -> None:
        """Notes what became of a batch of objects.

        Args:
            results: of what was read, and of nothing else.
            began: when it was asked for, by the clock.

        Raises:
            StoreError: nothing has been delivered for too long.
        """
        asked = [each for each in results if not _may_be_unasked(each)]
        for kind in sorted({_kind_of(each.ref) for each in asked}):
            self._note_kind(kind, [each for each in asked if _kind_of(each.ref) == kind], began)

    def _note_kind(self, kind: str, results: Sequence[Result], began: float) -> None:
        gone = [each for each in results if isinstance(each, Failure) and _is_silence(each)]
        with self._lock:
            silence = self._silences.setdefault(kind, _Silence())
            if len(gone) < len(results):
                self._silences[kind] = _Silence(answered=self._clock())
                return
            if not silence.images:
                # One that was asked for again and again began long before the last answer.
                silence.since = max(began, silence.answered)
            silence.add(gone)
            is_long = self._clock() - silence.since >= self._gone_s
            if silence.images < self._images or not is_long or silence.is_of_few:
                return
            self._silences[kind] = _Silence(answered=silence.answered)
        raise _give_up(gone[-1], silence)

    def now(self) -> float:
        """By the clock."""
        return self._clock()


def _give_up(last: Failure, silence: _Silence) -> StoreError:
    store = show_store(last.ref.object_uri)
    since = datetime.datetime.fromtimestamp(silence.since, datetime.UTC)
    images = f"none of the last {silence.images} images could be read there"
    if silence.is_expired:
        return StoreError(
            f"{store} takes these credentials no more since {since:%H:%M:%S} UTC: {images}; renew "
            "them, and start the run again"
        )
    return StoreError(
        f"{store} does not answer since {since:%H:%M:%S} UTC: {images}; start the run again when "
        "it does"
    )


BREAKER = Breaker()
"""Of this process."""


def begin_or_give_up(refs: Sequence[Given], asking: Asking) -> list[Begun]:
    """`begin_images`, for a run that ends when its store is gone.

    Raises:
        StoreError: that; and so may a result that is to come.
    """
    BREAKER.wait(refs)
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


def _kind_of(ref: ImageRef) -> str:
    """Stores that fail together: those of one scheme, however it is spelled."""
    scheme = split_url(ref.object_uri)[0]
    return "http" if scheme == "https" else STORE_NAMES.get(scheme, scheme)


def _may_be_unasked(result: Result) -> bool:
    """Whether it is judged by its name or its listed size, so that it says nothing of its store."""
    return isinstance(result, Failure) and result.code in _WITHOUT_AN_ANSWER


def _is_silence(failure: Failure) -> bool:
    return failure.code is FailureCode.UNAVAILABLE
