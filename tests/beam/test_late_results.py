"""Objects that fail in passing, read in a bundle: they hold up nobody, and come when they come."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from fsspec.asyn import AsyncFileSystem

from imgcls_beam.elements import EncodedImage, ImageRef
from imgcls_beam.options import ReadOptions
from imgcls_beam.prefetch import ReadDoFn
from imgcls_beam.reading import bounded_reads
from tests import flaky
from tests.flaky import FlakyStore, put

GLOBAL = GlobalWindow()
_LONG_S = 20.0
"""What a test waits for something that comes at once, unless it is broken."""


@pytest.fixture(autouse=True)
def empty_store() -> None:
    flaky.empty()


@pytest.fixture
def reader() -> Iterator[ReadDoFn]:
    """Reads in batches of two."""
    options = ReadOptions(concurrency=2, first_wait_s=0, allow_schemes=("flaky", "crowded"))
    made = ReadDoFn(options)
    made.setup()
    made.start_bundle()
    yield made
    made.teardown()


def process(reader: ReadDoFn, *refs: ImageRef) -> list[Any]:
    return [each.value for ref in refs for each in reader.process(ref, Timestamp(0), GLOBAL)]


def finish(reader: ReadDoFn) -> list[Any]:
    return [each.value for each in reader.finish_bundle()]


def test_a_batch_that_takes_long_does_not_stop_the_next_from_being_read(reader: ReadDoFn) -> None:
    asked = threading.Event()

    def answer_when_asked() -> Iterator[Exception | None]:
        yield None if asked.wait(_LONG_S) else TimeoutError()

    def ask() -> Iterator[Exception | None]:
        asked.set()
        yield None

    refs = [put(f"{index}.jpg") for index in range(8)]
    FlakyStore.faults["/0.jpg"] = answer_when_asked()
    FlakyStore.faults["/7.jpg"] = ask()
    results = process(reader, *refs) + finish(reader)
    assert [each.ref for each in results] == refs
    assert [each.tries for each in results] == [1] * 8


def test_an_object_that_is_asked_for_again_holds_up_none_beside_it_and_none_behind_it(
    reader: ReadDoFn,
) -> None:
    may_answer = threading.Event()

    def answer_late() -> Iterator[Exception | None]:
        yield TimeoutError()
        yield None if may_answer.wait(_LONG_S) else TimeoutError()

    refs = [put(f"{index}.jpg") for index in range(20)]
    FlakyStore.faults["/0.jpg"] = answer_late()
    results = process(reader, *refs)
    assert [each.ref for each in results] == refs[1:18]
    may_answer.set()
    results += finish(reader)
    assert {each.ref.uri for each in results} == {each.uri for each in refs}
    assert len(results) == 20
    assert {each.tries for each in results if each.ref == refs[0]} == {2}


def test_so_many_are_asked_for_again_at_once_and_then_some_are_waited_for(
    reader: ReadDoFn,
) -> None:
    refs = [put(f"{index}.jpg", TimeoutError(), TimeoutError()) for index in range(40)]
    results = process(reader, *refs)
    assert len(results) >= 40 - 2 - 8  # a batch that is under way, four that are asked for again
    results += finish(reader)
    assert Counter(each.tries for each in results) == {3: 40}
    assert {each.ref.uri for each in results} == {each.uri for each in refs}


class CrowdedStore(AsyncFileSystem):
    """Fails each object once; its second answer takes until four requests are in flight."""

    protocol = "crowded"
    asked: Counter[str] = Counter()  # noqa: RUF012  as its parent has it
    now = most = 0

    async def _cat_file(self, path: str, start: Any = None, end: Any = None) -> bytes:
        CrowdedStore.asked[path] += 1
        if CrowdedStore.asked[path] == 1:
            raise TimeoutError
        CrowdedStore.now += 1
        CrowdedStore.most = max(self.most, self.now)
        for _ in range(200):
            if CrowdedStore.most >= 4:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # for others that should not be let in
        CrowdedStore.now -= 1
        return b"x"


fsspec.register_implementation("crowded", CrowdedStore, clobber=True)


def test_all_batches_of_a_reader_together_have_twice_as_many_requests_in_flight_as_one(
    reader: ReadDoFn,
) -> None:
    refs = [ImageRef(f"crowded://{index}.jpg", size_bytes=1) for index in range(10)]
    results = process(reader, *refs) + finish(reader)
    assert [type(each) for each in results] == [EncodedImage] * 10
    assert set(CrowdedStore.asked.values()) == {2}
    assert CrowdedStore.most == 4


def test_what_is_to_come_keeps_its_memory_until_it_was_given_on(reader: ReadDoFn) -> None:
    lent_bytes = bounded_reads._READING.lent_bytes
    may_answer = threading.Event()

    def answer_late() -> Iterator[Exception | None]:
        yield TimeoutError()
        yield None if may_answer.wait(_LONG_S) else TimeoutError()

    refs = [put(f"{index}.jpg", data=b"x" * 100) for index in range(4)]
    FlakyStore.faults["/0.jpg"] = answer_late()
    assert len(process(reader, *refs)) == 1
    late = reader.finish_bundle()
    assert [next(late).value.ref for _ in range(2)] == refs[2:]
    assert bounded_reads._READING.lent_bytes == lent_bytes + 100
    may_answer.set()
    assert [each.value.ref for each in late] == refs[:1]
    assert bounded_reads._READING.lent_bytes == lent_bytes
