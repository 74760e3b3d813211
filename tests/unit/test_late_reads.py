"""Objects that are asked for again: each by itself, with its own tries, waits and silences."""

import collections
import dataclasses
import itertools
import math
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode, StoreError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import breaker, late_reads, ranges, read_images
from imgcls_beam.reading.breaker import Breaker, begin_or_give_up
from imgcls_beam.reading.gate import Gate
from imgcls_beam.reading.ranges import Asking
from imgcls_beam.reading.read import begin_images
from imgcls_beam.reading.shared_reads import LateRead, wait_for
from imgcls_beam.reading.store_health import STORE_HEALTH
from imgcls_beam.stores import RETRIES, Patience, patience
from imgcls_beam.stores.patience import RetryBudget
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


def test_retries_of_all_objects_come_out_of_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_reads, "RETRIES", RetryBudget(5, clock=lambda: 0.0))
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


def test_a_store_that_is_away_for_a_while_costs_no_image_and_is_asked_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Time goes fifty times faster: sixty-four objects are asked for while it is away for 15 s."""

    def clock() -> float:
        return 50 * time.monotonic()

    began_s, away_s = clock(), 15.0
    refused: list[None] = []

    def stay_away() -> Iterator[Exception | None]:
        while clock() < began_s + away_s:
            refused.append(None)
            yield ConnectionRefusedError()

    monkeypatch.setattr(late_reads, "RETRIES", RetryBudget(10, clock=clock))
    refs = [put(f"{index}.jpg") for index in range(64)]
    for index in range(len(refs)):
        FlakyStore.faults[f"/{index}.jpg"] = stay_away()
    options = dataclasses.replace(OPTIONS, tries=12)
    results = read_images(refs, options, sleep=lambda wait_s: time.sleep(wait_s / 50))
    assert [type(each) for each in results] == [EncodedImage] * len(refs)
    assert len(refused) <= len(refs) + 10 + 4 * away_s


class ScriptedStore(AsyncFileSystem):
    """Raises what it is told for an object, and delivers it otherwise; notes the silences."""

    protocol = "scripted"
    faults: dict[str, Iterator[Exception | None]] = {}  # noqa: RUF012  as its parent has it
    silences_s: list[float] = []  # noqa: RUF012
    patient_s = 0.0
    """Whoever waits less is given nothing."""

    async def _cat_file(self, path: str, start: Any = None, end: Any = None) -> bytes:
        silence_s = Patience(silence_s=30.0).find_silence_s()
        ScriptedStore.silences_s.append(silence_s)
        if silence_s < ScriptedStore.patient_s:
            raise TimeoutError
        if fault := next(ScriptedStore.faults.get(path, iter(())), None):
            raise fault
        return b"data"


fsspec.register_implementation("scripted", ScriptedStore, clobber=True)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedStore, "faults", {})
    monkeypatch.setattr(ScriptedStore, "silences_s", [])
    monkeypatch.setattr(patience.random, "uniform", lambda low, high: 1.0)


def _put_scripted(count: int, faults: Callable[[], Iterator[Exception]]) -> list[ImageRef]:
    ScriptedStore.faults |= {f"bucket/{index}.jpg": faults() for index in range(count)}
    return [ImageRef(f"scripted://bucket/{index}.jpg", size_bytes=4) for index in range(count)]


def _fail_always() -> Iterator[Exception]:
    return itertools.repeat(TimeoutError())


def _answer_many(ref: ImageRef, count: int = 64) -> None:
    """The store of this object is known to answer others at once."""
    for _ in range(count):
        STORE_HEALTH.note(ref.object_uri, is_prompt=True)


def _read_scripted(
    refs: list[ImageRef], sleep: Callable[[float], object] = lambda _: None, **limits: Any
) -> list[EncodedImage | Failure]:
    return read_images(refs, ReadOptions(allow_schemes=("scripted",), **limits), sleep)


def _note_waits(refs: list[ImageRef]) -> list[list[float]]:
    """The waits of each object that is asked for again, without their jitter."""
    waits: dict[threading.Thread, list[float]] = collections.defaultdict(list)
    _read_scripted(refs, sleep=lambda wait_s: waits[threading.current_thread()].append(wait_s))
    return list(waits.values())


@pytest.mark.usefixtures("scripted")
def test_what_fails_where_others_are_answered_is_asked_for_again_soon_seven_times() -> None:
    """And then as ever: its part of the store may be gone for a while."""
    (ref,) = _put_scripted(1, _fail_always)
    assert _note_waits([ref]) == [[0.5, 1, 2, *[4] * 8]]
    _answer_many(ref)
    assert _note_waits([ref]) == [[*[0.3] * 7, *[4] * 4]]


@pytest.mark.usefixtures("scripted")
def test_an_outage_is_ridden_out_with_waits_that_double() -> None:
    """As many objects fail at once as are under way; the first tries of all say it."""
    refs = _put_scripted(18, _fail_always)
    _answer_many(refs[0])
    assert _note_waits(refs) == [[0.5, 1, 2, *[4] * 8]] * 18
    assert len(ScriptedStore.silences_s) == 18 * ReadOptions().tries


@pytest.mark.usefixtures("scripted")
def test_what_others_were_answered_meanwhile_counts_before_the_next_try() -> None:
    """Its store comes back while it waits for its fourth try."""

    def fail() -> Iterator[Exception]:
        yield from (TimeoutError() for _ in range(3))
        _answer_many(ref)
        yield from _fail_always()

    (ref,) = _put_scripted(1, fail)
    assert _note_waits([ref]) == [[0.5, 1, 2, *[0.3] * 4, *[4] * 4]]


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(("faults", "is_prompt"), [(0, True), (1, True), (3, False)])
def test_each_request_is_noted(faults: int, is_prompt: bool) -> None:
    """The first try of an object, and later ones: none, half or three in four of them fail."""
    refs = _put_scripted(16, lambda: itertools.repeat(TimeoutError(), faults))
    for ref in refs:
        (result,) = _read_scripted([ref])
        assert isinstance(result, EncodedImage)
    assert STORE_HEALTH.is_prompt(refs[0].object_uri) is is_prompt


@pytest.mark.usefixtures("scripted")
def test_a_refusal_is_an_answer() -> None:
    refs = _put_scripted(16, lambda: itertools.repeat(FileNotFoundError()))
    codes = {each.code for each in _read_scripted(refs) if isinstance(each, Failure)}
    assert codes == {FailureCode.NOT_FOUND}
    assert STORE_HEALTH.is_prompt(refs[0].object_uri)


@pytest.mark.usefixtures("scripted")
def test_an_answer_that_took_long_for_its_bytes_was_not_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (ref,) = _put_scripted(1, lambda: iter(()))
    for took_s, is_prompt in ((0.9, True), (1.1, False)):
        clock = types.SimpleNamespace(monotonic=itertools.count(0, took_s).__next__)
        monkeypatch.setattr(ranges, "time", clock)
        STORE_HEALTH.forget()
        _read_scripted([ref])
        assert STORE_HEALTH.is_prompt(ref.object_uri) is is_prompt
    large = dataclasses.replace(ref, size_bytes=1 << 20)  # 8 s at 128 KiB/s
    clock = types.SimpleNamespace(monotonic=itertools.count(0, 8.9).__next__)
    monkeypatch.setattr(ranges, "time", clock)
    STORE_HEALTH.forget()
    _read_scripted([large])
    assert STORE_HEALTH.is_prompt(ref.object_uri)


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(
    ("answers", "timeout_s", "silences_s"),
    [
        (0, 8.0, [1, *[8] * 9]),
        (0, 3.0, [1, *[3] * 9]),
        (0, 0.5, [0.5] * 10),
        (64, 8.0, [*[1] * 4, *[2] * 3, 4, 8, 8]),
        (64, 3.0, [*[1] * 4, *[2] * 3, 3, 3, 3]),
        (64, 1.5, [*[1] * 4, *[1.5] * 6]),
    ],
)
def test_little_silence_is_borne_of_a_store_that_is_prompt_or_not_known(
    answers: int, timeout_s: float, silences_s: list[float]
) -> None:
    (ref,) = _put_scripted(1, _fail_always)
    _answer_many(ref, answers)
    (failure,) = _read_scripted([ref], tries=10, timeout_s=timeout_s)
    assert (failure.tries, ScriptedStore.silences_s) == (10, silences_s)
    assert Patience(silence_s=30.0).find_silence_s() == 30.0


@pytest.mark.usefixtures("scripted")
def test_a_store_that_is_slow_is_read_whole_however_many_objects_are_asked_for_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More than a process has retries: nothing was known when these were given up early."""
    monkeypatch.setattr(ScriptedStore, "patient_s", 5.0)
    monkeypatch.setattr(ranges, "PROMPT_S", -math.inf)  # no time passes here
    refs = _put_scripted(500, lambda: iter(()))
    first, second = (_read_scripted(refs, concurrency=500) for _ in range(2))
    assert {type(each) for each in (*first, *second)} == {EncodedImage}
    assert [each.tries for each in first] == [2] * 500
    assert [each.tries for each in second] == [1] * 500


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
    monkeypatch.setattr(ranges, "time", SlowStore)
    monkeypatch.setattr(patience.random, "uniform", lambda low, high: jitter)
    options = ReadOptions(allow_schemes=("slow",))
    _answer_many(ImageRef("slow://bucket/3"), answered)
    for answer_s in (3.0, 3.9, 4.1, 5.5, 7.0) * 6:
        ref = ImageRef(f"slow://bucket/{answer_s}", size_bytes=4)
        (result,) = read_images([ref], options, SlowStore.wait)
        assert isinstance(result, EncodedImage), (ref, result)
    assert result.tries == 1  # by now the store is known to be slow


def test_what_becomes_of_an_object_at_last_is_told_to_the_breaker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaker, "BREAKER", Breaker(images=4, gone_s=0, sleep=lambda _: None))
    asking = Asking(OPTIONS, Gate(1), sleep=lambda _: None)
    gone = [put(f"{index}.jpg", *[TimeoutError()] * 99) for index in range(4)]
    late = put("late.jpg", *[TimeoutError()] * 3)
    for refs in (gone[:3], [late], gone[:3]):
        results = [wait_for(each) for each in begin_or_give_up(refs, asking)]
    assert {each.code for each in results if isinstance(each, Failure)} == {FailureCode.UNAVAILABLE}
    (begun,) = begin_or_give_up(gone[3:], asking)
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
