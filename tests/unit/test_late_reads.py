"""Objects that are asked for again: each by itself, with its own tries, waits and silences."""

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
from imgcls_beam.stores import RETRIES, Patience
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


class SilentStore(AsyncFileSystem):
    """Never delivers; notes how long each request for an object was to be waited for."""

    protocol = "silent"
    silences_s: list[float] = []  # noqa: RUF012  as its parent has it

    async def _cat_file(self, path: str, start: Any = None, end: Any = None) -> bytes:
        SilentStore.silences_s.append(Patience(silence_s=30.0).find_silence_s())
        raise TimeoutError


fsspec.register_implementation("silent", SilentStore, clobber=True)


@pytest.mark.parametrize(
    ("timeout_s", "silences_s"),
    [(8.0, [2, 2, 2, 4, 8, 8]), (3.0, [2, 2, 2, 3, 3, 3]), (1.0, [1] * 6)],
)
def test_a_first_try_bears_little_silence_and_none_more_than_is_allowed(
    timeout_s: float, silences_s: list[float]
) -> None:
    SilentStore.silences_s = []
    options = ReadOptions(tries=6, timeout_s=timeout_s, allow_schemes=("silent",))
    (failure,) = read(ImageRef("silent://a.jpg", size_bytes=1), options=options)
    assert (failure.tries, SilentStore.silences_s) == (6, silences_s)
    assert Patience(silence_s=30.0).find_silence_s() == 30.0


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
