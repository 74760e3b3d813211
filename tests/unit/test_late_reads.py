"""Objects that are asked for again: each by itself, with its own tries, waits and silences."""

import collections
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode, StoreError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import breaker, read_images
from imgcls_beam.reading.breaker import Breaker, begin_or_give_up
from imgcls_beam.reading.gate import Gate
from imgcls_beam.reading.ranges import Asking
from imgcls_beam.reading.read import begin_images
from imgcls_beam.reading.shared_reads import LateRead, wait_for
from imgcls_beam.reading.store_health import STORE_HEALTH
from imgcls_beam.stores import RETRIES, Patience, patience
from tests import flaky
from tests.flaky import OPTIONS, FlakyStore, put, read

_LONG_S = 20.0
"""What a test waits for something that comes at once, unless it is broken."""


@pytest.fixture(autouse=True)
def empty_store() -> None:
    flaky.empty()


def _begin(refs: list[ImageRef], options: ReadOptions = OPTIONS, **more: Any) -> list[Any]:
    asking = Asking(options, Gate(options.concurrency), sleep=lambda _: None, **more)
    return begin_images(refs, asking)


def test_an_object_that_is_silent_keeps_no_other_from_its_next_try() -> None:
    """It answers its second try when all others were delivered at theirs."""
    others = [put(f"{index}.jpg") for index in range(8)]
    delivered = threading.Semaphore(0)

    def deliver() -> Iterator[Exception | None]:
        yield TimeoutError()
        delivered.release()
        yield None

    def stay_silent() -> Iterator[Exception | None]:
        yield TimeoutError()
        yield None if all(delivered.acquire(timeout=_LONG_S) for _ in others) else TimeoutError()

    silent = put("silent.jpg")
    FlakyStore.faults["/silent.jpg"] = stay_silent()
    for index in range(len(others)):
        FlakyStore.faults[f"/{index}.jpg"] = deliver()
    results = read(silent, *others)
    assert [type(each) for each in results] == [EncodedImage] * 9
    assert [each.tries for each in results] == [2] * 9
    assert [each.ref for each in results] == [silent, *others]


def test_what_answers_is_there_before_what_is_asked_for_again() -> None:
    may_answer = threading.Event()

    def stay_silent() -> Iterator[Exception | None]:
        yield TimeoutError()
        yield None if may_answer.wait(_LONG_S) else TimeoutError()

    good, silent = put("good.jpg"), put("silent.jpg")
    FlakyStore.faults["/silent.jpg"] = stay_silent()
    first, second, third = _begin([good, silent, silent])
    assert isinstance(first, EncodedImage)
    assert isinstance(second, LateRead)
    assert isinstance(third, LateRead)
    assert not second.answer.done()
    may_answer.set()
    assert [wait_for(each).tries for each in (second, third)] == [2, 2]
    assert FlakyStore.asked["/silent.jpg"] == 2


def test_each_object_has_its_own_tries_and_its_own_wait_before_each() -> None:
    faults = [TimeoutError() for _ in range(9)]
    refs = [put(f"{count}.jpg", *faults[:count]) for count in range(6)]
    waits: list[float] = []
    results = read_images(refs, OPTIONS, sleep=waits.append)
    assert [each.tries for each in results] == [1, 2, 3, 4, 4, 4]
    assert [type(each) for each in results] == [EncodedImage] * 4 + [Failure] * 2
    assert len(waits) == 1 + 2 + 3 + 3 + 3


def test_retries_of_all_objects_come_out_of_one_budget() -> None:
    RETRIES.take(1_000_000)
    RETRIES.give_back(5)
    refs = [put(f"{index}.jpg", *[TimeoutError()] * 9) for index in range(20)]
    results = read(*refs)
    assert {type(each) for each in results} == {Failure}
    assert sum(FlakyStore.asked.values()) == 20 + 5
    assert sum(each.tries for each in results) == 20 + 5


def test_what_answers_in_a_batch_pays_for_what_is_tried_again_in_it() -> None:
    RETRIES.take(1_000_000)
    good = [put(f"good{index}.jpg") for index in range(3)]
    refs = [put(f"{index}.jpg", TimeoutError()) for index in range(3)]
    assert [each.tries for each in read(*good, *refs)] == [1, 1, 1, 2, 2, 2]


def _answer_many(ref: ImageRef, count: int = 64) -> None:
    """The store of this object is known to answer others."""
    STORE_HEALTH.note([EncodedImage(ref, b"data")] * count)


def _put_failing(count: int) -> list[ImageRef]:
    return [put(f"bucket/{each}.jpg", *[TimeoutError()] * 99) for each in range(count)]


def _note_waits(refs: list[ImageRef], monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The waits of each object that is asked for again, without their jitter."""
    monkeypatch.setattr(patience.random, "uniform", lambda low, high: 1.0)
    waits: dict[threading.Thread, list[float]] = collections.defaultdict(list)
    options = ReadOptions(allow_schemes=flaky.SCHEMES)
    read_images(refs, options, lambda wait_s: waits[threading.current_thread()].append(wait_s))
    return list(waits.values())


def test_what_fails_where_others_are_answered_is_asked_for_again_soon_six_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And then as ever: its part of the store may be gone for a while."""
    (ref,) = _put_failing(1)
    assert _note_waits([ref], monkeypatch) == [[0.5, 1, 2, 4, 4, 4, 4, 4, 4]]
    _answer_many(ref)
    (ref,) = _put_failing(1)
    assert _note_waits([ref], monkeypatch) == [[0.5, 1, 1, 1, 1, 1, 4, 4, 4]]


def test_an_outage_is_ridden_out_with_waits_that_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many objects fail at once as are under way; the first tries of all say it."""
    refs = _put_failing(20)
    _answer_many(refs[0])
    waits = _note_waits(refs, monkeypatch)
    assert waits == [[0.5, 1, 2, 4, 4, 4, 4, 4, 4]] * 20
    assert sum(FlakyStore.asked.values()) == 20 * ReadOptions().tries


def test_what_others_were_answered_meanwhile_counts_before_the_next_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its store comes back while it waits for its fourth try."""
    (ref,) = _put_failing(1)

    def fail() -> Iterator[Exception | None]:
        yield from (TimeoutError() for _ in range(3))
        _answer_many(ref)
        yield from itertools.repeat(TimeoutError())

    FlakyStore.faults["/bucket/0.jpg"] = fail()
    assert _note_waits([ref], monkeypatch) == [[0.5, 1, 2, 1, 1, 1, 4, 4, 4]]


def test_answers_of_first_and_of_later_tries_are_noted() -> None:
    options = ReadOptions(tries=2, allow_schemes=flaky.SCHEMES)
    read(*[put(f"first/{index}.jpg") for index in range(16)], options=options)
    assert STORE_HEALTH.answers(EncodedImage(ImageRef("flaky://first/a.jpg"), b""))
    for index in range(16):
        read(put(f"second/{index}.jpg", TimeoutError()), options=options)
    assert STORE_HEALTH.answers(EncodedImage(ImageRef("flaky://second/a.jpg"), b""))
    for index in range(16):
        read(put(f"second/{index}.jpg", *[TimeoutError()] * 2), options=options)
    assert not STORE_HEALTH.answers(EncodedImage(ImageRef("flaky://second/a.jpg"), b""))


class SilentStore(AsyncFileSystem):
    """Never delivers; notes how long each request for an object was to be waited for."""

    protocol = "silent"
    silences_s: list[float] = []  # noqa: RUF012  as its parent has it

    async def _cat_file(self, path: str, start: Any = None, end: Any = None) -> bytes:
        SilentStore.silences_s.append(Patience(silence_s=30.0).find_silence_s())
        raise TimeoutError


fsspec.register_implementation("silent", SilentStore, clobber=True)


@pytest.mark.parametrize(
    ("is_answering", "timeout_s", "silences_s"),
    [
        (False, 8.0, [2, 2, 2, 4, 8, 8, 8, 8]),
        (False, 3.0, [2, 2, 2, 3, 3, 3, 3, 3]),
        (False, 1.0, [1] * 8),
        (True, 8.0, [2, 2, 2, 2, 2, 4, 8, 8]),
        (True, 3.0, [2, 2, 2, 2, 2, 3, 3, 3]),
        (True, 1.0, [1] * 8),
    ],
)
def test_a_first_try_bears_little_silence_and_none_more_than_is_allowed(
    is_answering: bool, timeout_s: float, silences_s: list[float]
) -> None:
    SilentStore.silences_s = []
    options = ReadOptions(tries=8, timeout_s=timeout_s, allow_schemes=("silent",))
    ref = ImageRef("silent://a.jpg", size_bytes=1)
    if is_answering:
        _answer_many(ref)
    (failure,) = read(ref, options=options)
    assert (failure.tries, SilentStore.silences_s) == (8, silences_s)
    assert Patience(silence_s=30.0).find_silence_s() == 30.0


class SlowStore(AsyncFileSystem):
    """Takes seconds for each answer, by a clock of its own; it says nothing before."""

    protocol = "slow"
    now_s = 0.0

    async def _cat_file(self, path: str, start: Any = None, end: Any = None) -> bytes:
        answer_s = float(path.rpartition("/")[2])
        silence_s = Patience(silence_s=30.0).find_silence_s()
        SlowStore.wait(min(answer_s, silence_s))
        if answer_s > silence_s:
            raise TimeoutError
        return b"data"

    @classmethod
    def wait(cls, wait_s: float) -> None:
        cls.now_s += wait_s

    @classmethod
    def monotonic(cls) -> float:
        return cls.now_s


fsspec.register_implementation("slow", SlowStore, clobber=True)


@pytest.mark.parametrize("jitter", [0.5, 1.5])
@pytest.mark.parametrize("answered", [0, 8, 64])
def test_a_store_that_is_slow_is_read_in_the_end(
    answered: int, jitter: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within what an object has in all, whatever is known of its store: each takes 3 to 7 s."""
    monkeypatch.setattr(patience, "time", SlowStore)
    monkeypatch.setattr(patience.random, "uniform", lambda low, high: jitter)
    options = ReadOptions(allow_schemes=("slow",))
    _answer_many(ImageRef("slow://bucket/3"), answered)
    for answer_s in (3.0, 3.9, 4.1, 5.5, 7.0) * 6:
        ref = ImageRef(f"slow://bucket/{answer_s}", size_bytes=4)
        (result,) = read_images([ref], options, SlowStore.wait)
        assert isinstance(result, EncodedImage), (ref, result)


def test_what_becomes_of_an_object_at_last_is_told_to_the_breaker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaker, "BREAKER", Breaker(objects=3, gone_s=0, sleep=lambda _: None))
    asking = Asking(OPTIONS, Gate(1), sleep=lambda _: None)
    gone = [put(f"{index}.jpg", *[TimeoutError()] * 99) for index in range(2)]
    late = put("late.jpg", *[TimeoutError()] * 3)
    for refs in (gone, [late], gone):
        results = [wait_for(each) for each in begin_or_give_up(refs, asking)]
    assert {each.code for each in results if isinstance(each, Failure)} == {FailureCode.UNAVAILABLE}
    (begun,) = begin_or_give_up(gone[:1], asking)
    with pytest.raises(StoreError, match=r"flaky://\S+ does not answer since"):
        wait_for(begun)


def test_a_client_that_is_of_one_thread_is_opened_for_few_of_them() -> None:
    """FTP's: for each of them it would log in once more."""
    threads: set[threading.Thread] = set()

    def note() -> Iterator[Exception | None]:
        yield TimeoutError()
        threads.add(threading.current_thread())
        yield None

    refs = [put(f"{index}.jpg") for index in range(30)]
    FlakyStore.faults.update({f"/{index}.jpg": note() for index in range(30)})
    assert [each.tries for each in read(*refs)] == [2] * 30
    assert len(threads) <= 2


def test_what_ends_the_process_is_raised_where_the_result_is_awaited() -> None:
    bad = put("bad.jpg", TimeoutError(), MemoryError("none is left"))
    good, late = _begin([put("good.jpg"), bad])
    assert isinstance(good, EncodedImage)
    with pytest.raises(MemoryError, match="none is left"):
        wait_for(late)
