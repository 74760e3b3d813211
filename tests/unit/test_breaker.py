"""When a store that does not deliver ends a run, and when it does not."""

import itertools

import pytest

from imgcls_beam.elements import ByteSpan, EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode, ImageError, StoreError
from imgcls_beam.reading.breaker import Breaker
from imgcls_beam.reading.faults import EXPIRED_CREDENTIALS

_REF = ImageRef("ftp://user@host/a.png")
_READ = EncodedImage(_REF, b"image")
_MISSING = Failure.from_error(_REF, ImageError(FailureCode.NOT_FOUND, "there is none"))
_numbers = itertools.count()


def _gone(count: int, host: str = "ftp://user@host", message: str = "no answer") -> list[Failure]:
    """So many objects that were not delivered, each another one."""
    refs = [ImageRef(f"{host}/{next(_numbers)}.png") for _ in range(count)]
    error = ImageError(FailureCode.UNAVAILABLE, message, retryable=True)
    return [Failure.from_error(ref, error) for ref in refs]


class Clock:
    """Goes on when it is told, or slept by."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def read(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(images=4, gone_s=30, clock=clock.read, sleep=clock.sleep)


def test_a_store_that_delivers_nothing_for_long_ends_the_run(
    breaker: Breaker, clock: Clock
) -> None:
    breaker.note(_gone(3), clock.now_s)
    clock.now_s = 31.0
    with pytest.raises(StoreError) as raised:
        breaker.note(_gone(1), 30.0)
    assert str(raised.value) == (
        "ftp://host does not answer since 00:00:00 UTC: none of the last 4 images could be read "
        "there; start the run again when it does"
    )


def test_few_objects_or_a_short_time_do_not_end_it(breaker: Breaker, clock: Clock) -> None:
    breaker.note(_gone(100), clock.now_s)
    clock.now_s = 29.0
    breaker.note(_gone(100), clock.now_s)


@pytest.mark.parametrize(
    "code", [FailureCode.EMPTY, FailureCode.TOO_MANY_BYTES, FailureCode.INVALID_REFERENCE]
)
def test_what_nobody_was_asked_for_is_no_answer(
    breaker: Breaker, clock: Clock, code: FailureCode
) -> None:
    """Objects of no bytes, too large ones and refused names are in many buckets."""
    unasked = Failure.from_error(_REF, ImageError(code, "as listed"))
    breaker.note(_gone(3), clock.now_s)
    clock.now_s = 31.0
    breaker.note([unasked], 31.0)
    with pytest.raises(StoreError):
        breaker.note([unasked, *_gone(1)], 31.0)


@pytest.mark.parametrize("answer", [_READ, _MISSING])
def test_any_answer_begins_anew(
    breaker: Breaker, clock: Clock, answer: EncodedImage | Failure
) -> None:
    breaker.note(_gone(3), clock.now_s)
    breaker.note([*_gone(1), answer, *_gone(1)], clock.now_s)
    clock.now_s = 40.0
    breaker.note(_gone(3), 40.0)
    breaker.note(_gone(3), 40.0)


def test_what_was_asked_for_before_the_last_answer_is_gone_since_that_answer(
    breaker: Breaker, clock: Clock
) -> None:
    """Objects that were tried for half a minute fail just when a store goes away."""
    clock.now_s = 35.0
    breaker.note([_READ], 34.0)
    clock.now_s = 36.0
    breaker.note(_gone(10), 0.0)
    clock.now_s = 64.0
    breaker.note(_gone(1), 0.0)
    clock.now_s = 65.0
    with pytest.raises(StoreError, match="since 00:00:35 UTC"):
        breaker.note(_gone(1), 0.0)


def test_it_waits_between_batches_while_nothing_is_delivered(
    breaker: Breaker, clock: Clock
) -> None:
    breaker.wait([_REF])
    assert clock.now_s == 0
    breaker.note(_gone(4), clock.now_s)
    breaker.wait([_REF])
    assert clock.now_s > 0


def test_another_run_of_the_process_begins_anew(breaker: Breaker, clock: Clock) -> None:
    breaker.note(_gone(4), clock.now_s)
    clock.now_s = 31.0
    with pytest.raises(StoreError):
        breaker.note(_gone(1), clock.now_s)
    breaker.note(_gone(1), clock.now_s)


def _members(archives: int, message: str = "no answer") -> list[Failure]:
    error = ImageError(FailureCode.UNAVAILABLE, message, retryable=True)
    return [
        Failure.from_error(
            ImageRef(f"s3://bucket/{shard}.tar::{i}.png", locator=ByteSpan(i, i + 1)), error
        )
        for shard in range(archives)
        for i in range(99)
    ]


def test_a_few_archives_that_are_not_delivered_do_not_end_a_run(
    breaker: Breaker, clock: Clock
) -> None:
    breaker.note(_members(3), clock.now_s)
    clock.now_s = 99.0
    breaker.note(_members(3), clock.now_s)


@pytest.mark.parametrize(("archives", "message"), [(4, "no answer"), (1, EXPIRED_CREDENTIALS)])
def test_archives_of_a_store_that_is_gone_end_it(
    breaker: Breaker, clock: Clock, archives: int, message: str
) -> None:
    """Of shards a job may have a dozen."""
    breaker.note(_members(archives, message), clock.now_s)
    clock.now_s = 31.0
    with pytest.raises(StoreError):
        breaker.note(_members(1, message), clock.now_s)


def test_what_another_store_delivers_says_nothing_of_one_that_is_gone(
    breaker: Breaker, clock: Clock
) -> None:
    disk = EncodedImage(ImageRef("file:///photos/a.png"), b"image")
    breaker.note(_gone(3, "s3://bucket"), clock.now_s)
    clock.now_s = 31.0
    breaker.note([disk], 31.0)
    with pytest.raises(StoreError, match="s3://bucket does not answer"):
        breaker.note([disk, *_gone(1, "s3://bucket"), disk], 31.0)


def test_one_dead_host_of_many_does_not_end_a_run(breaker: Breaker, clock: Clock) -> None:
    alive = EncodedImage(ImageRef("https://alive.example/a.png"), b"image")
    breaker.note([*_gone(50, "http://dead.example"), alive], clock.now_s)
    clock.now_s = 40.0
    breaker.note([*_gone(50, "https://dead.example"), alive], 40.0)


def test_only_batches_of_the_store_that_is_gone_wait(breaker: Breaker, clock: Clock) -> None:
    breaker.note(_gone(4, "s3://bucket"), clock.now_s)
    breaker.wait([ImageRef("file:///photos/a.png")])
    assert clock.now_s == 0
    breaker.wait([ImageRef("s3://bucket/a.png")])
    assert clock.now_s > 0


def test_credentials_that_have_expired_are_said_to_have(breaker: Breaker, clock: Clock) -> None:
    breaker.note(_gone(3, "s3://bucket", EXPIRED_CREDENTIALS), clock.now_s)
    clock.now_s = 31.0
    with pytest.raises(StoreError) as raised:
        breaker.note(_gone(1, "s3://bucket", EXPIRED_CREDENTIALS), 31.0)
    assert str(raised.value) == (
        "s3://bucket takes these credentials no more since 00:00:00 UTC: none of the last 4 images "
        "could be read there; renew them, and start the run again"
    )
