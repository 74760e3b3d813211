"""Work ahead of the consumer: in order, within bounds, in the element's own window."""

import concurrent.futures
import pathlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    SlidingWindows,
    TimestampedValue,
)
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam import PrepareImages, ReadImages
from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions, ReadOptions
from imgcls_beam.prefetch import PrefetchQueue, PrepareDoFn, ReadDoFn
from tests import flaky
from tests.flaky import FlakyStore, put
from tests.runners import make_pipeline
from tests.scenes import draw_photo, encode

GLOBAL = GlobalWindow()


@pytest.fixture(autouse=True)
def empty_store() -> None:
    flaky.empty()


def make_origins(*values: object) -> list[WindowedValue]:
    return [WindowedValue(value, Timestamp(7), (GLOBAL,)) for value in values]


def add_task(prefetched: PrefetchQueue[str], *values: str, size_bytes: int = 0) -> None:
    """Adds a task that is done."""
    future: concurrent.futures.Future[list[str]] = concurrent.futures.Future()
    future.set_result([value.upper() for value in values])
    prefetched.add(future, make_origins(*values), size_bytes)


def get_values(results: Iterable[WindowedValue]) -> list[Any]:
    return [each.value for each in results]


def test_results_come_in_the_order_of_the_tasks_whichever_is_done_first() -> None:
    prefetched: PrefetchQueue[str] = PrefetchQueue(Stage.READ, 100, 100)
    first_may_end = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: [str(first_may_end.wait(60)), "b"])
        prefetched.add(first, make_origins("?", "?"), 0)
        second = pool.submit(lambda: ["c"])
        prefetched.add(second, make_origins("?"), 0)
        assert second.result(60) == ["c"]
        first_may_end.set()
        results = list(prefetched.take_all())
    assert get_values(results) == ["True", "b", "c"]
    assert {(each.timestamp, each.windows) for each in results} == {(Timestamp(7), (GLOBAL,))}


@pytest.mark.parametrize(
    ("max_elements", "max_bytes", "held"),
    [(3, 10**6, 3), (10**6, 25, 2), (1, 1, 1), (10**6, 10**6, 10)],
)
def test_no_more_is_held_than_is_allowed_but_always_one_task(
    max_elements: int, max_bytes: int, held: int
) -> None:
    prefetched: PrefetchQueue[str] = PrefetchQueue(Stage.READ, max_elements, max_bytes)
    taken: list[str] = []
    for index, letter in enumerate("abcdefghij"):
        add_task(prefetched, letter, size_bytes=10)
        taken += get_values(prefetched.take_due())
        assert len(taken) == max(0, index + 1 - held)
    taken += get_values(prefetched.take_all())
    assert taken == list("ABCDEFGHIJ")


def test_a_task_counts_as_many_elements_as_it_has() -> None:
    prefetched: PrefetchQueue[str] = PrefetchQueue(Stage.READ, 3, 100)
    add_task(prefetched, "a", "b", "c", "d")
    assert get_values(prefetched.take_due()) == []
    add_task(prefetched, "e")
    assert get_values(prefetched.take_due()) == ["A", "B", "C", "D"]
    assert get_values(prefetched.take_all()) == ["E"]


def test_an_exception_of_a_task_is_raised_where_its_result_is_due() -> None:
    prefetched: PrefetchQueue[str] = PrefetchQueue(Stage.READ, 100, 100)
    failed: concurrent.futures.Future[list[str]] = concurrent.futures.Future()
    failed.set_exception(KeyError("defect"))
    add_task(prefetched, "a")
    prefetched.add(failed, make_origins("b"), 0)
    results = prefetched.take_all()
    assert next(results).value == "A"
    with pytest.raises(KeyError, match="defect"):
        next(results)


def test_a_task_that_gives_too_few_results_is_a_defect_and_not_a_loss() -> None:
    prefetched: PrefetchQueue[str] = PrefetchQueue(Stage.READ, 100, 100)
    future: concurrent.futures.Future[list[str]] = concurrent.futures.Future()
    future.set_result(["A"])
    prefetched.add(future, make_origins("a", "b"), 0)
    with pytest.raises(ValueError, match="shorter"):
        list(prefetched.take_all())


def test_what_has_not_begun_is_cancelled_and_forgotten() -> None:
    prefetched: PrefetchQueue[str] = PrefetchQueue(Stage.READ, 100, 100)
    may_end = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(lambda: [str(may_end.wait(60))]) for _ in range(5)]
        for future in futures:
            prefetched.add(future, make_origins("a"), 0)
        prefetched.clear()
        may_end.set()
    assert [future.cancelled() for future in futures[1:]] == [True] * 4
    assert list(prefetched.take_all()) == []


@pytest.fixture
def reader() -> Iterator[ReadDoFn]:
    """Reads in batches of two."""
    made = ReadDoFn(ReadOptions(concurrency=2, first_wait_s=0, allow_schemes=flaky.SCHEMES))
    made.setup()
    yield made
    made.teardown()


def process(dofn: Any, *elements: Any) -> list[Any]:
    return [
        each.value for element in elements for each in dofn.process(element, Timestamp(0), GLOBAL)
    ]


def test_what_a_failed_bundle_left_is_not_given_to_the_next_one(reader: ReadDoFn) -> None:
    refs = [put(f"{index}.jpg") for index in range(6)]
    reader.start_bundle()
    assert process(reader, *refs[:3]) == []
    reader.start_bundle()  # the bundle failed further down: it was never finished
    assert process(reader, refs[4]) == []
    assert [each.value.ref for each in reader.finish_bundle()] == [refs[4]]
    reader.start_bundle()
    assert list(reader.finish_bundle()) == []


def test_one_batch_is_read_while_another_is_given(reader: ReadDoFn) -> None:
    refs = [put(f"{index}.jpg") for index in range(7)]
    reader.start_bundle()
    given = [len(process(reader, ref)) for ref in refs]
    assert given == [0, 0, 0, 2, 0, 2, 0]
    assert len(list(reader.finish_bundle())) == 3


def test_batches_are_bounded_by_bytes_too() -> None:
    reader = ReadDoFn(ReadOptions(concurrency=100, batch_bytes=10, allow_schemes=flaky.SCHEMES))
    reader.setup()
    reader.start_bundle()
    refs = [put(f"{index}.jpg", data=b"12345") for index in range(8)]
    assert [len(process(reader, ref)) for ref in refs] == [0, 0, 0, 2, 0, 2, 0, 2]
    assert len(list(reader.finish_bundle())) == 2
    reader.teardown()


@pytest.mark.parametrize(("models", "held"), [(1, 48), (3, 16), (100, 1)])
def test_failures_pass_the_preparing_in_order_and_are_not_held_back(
    vit_folder: pathlib.Path, models: int, held: int
) -> None:
    source = resolve_model(str(vit_folder), None)
    preparing = PrepareDoFn([source] * models, DecodeOptions())
    preparing.setup()
    preparing.start_bundle()
    refs = [ImageRef(str(index)) for index in range(60)]
    failures = [Failure(ref, Stage.READ, FailureCode.NOT_FOUND, "gone") for ref in refs]
    early = process(preparing, *failures)
    expected = [(failure,) * models for failure in failures]
    assert early == expected[: 60 - held]
    assert early + get_values(preparing.finish_bundle()) == expected


class _WhenAndWhere(beam.DoFn):
    def process(
        self,
        element: Any,
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[tuple[str, int, int]]:
        uri = element.ref.uri.rpartition("/")[2]
        yield uri, timestamp.micros // 10**6, window.start.micros // 10**6


@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize(
    ("windows", "starts"), [(FixedWindows(10), (0,)), (SlidingWindows(20, 10), (0, -10))]
)
def test_an_image_keeps_its_time_and_its_windows(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    batch: int,
    windows: beam.WindowInto,
    starts: tuple[int, ...],
) -> None:
    good = encode(draw_photo(1))
    times_s = [5, 25, 7, 31, 5, 12, 38]
    for index in range(len(times_s)):
        (tmp_path / f"{index}.jpg").write_bytes(good if index % 3 else b"no image")
    timed = [(str(tmp_path / f"{index}.jpg"), time_s) for index, time_s in enumerate(times_s)]
    expected = [
        (f"{index}.jpg", time_s, time_s // 10 * 10 + start)
        for index, time_s in enumerate(times_s)
        for start in starts
    ]
    with make_pipeline() as pipeline:
        images = pipeline | beam.Create(timed) | beam.Map(_stamp) | beam.WindowInto(windows)
        read = images | ReadImages(ReadOptions(concurrency=batch, allow_schemes=flaky.SCHEMES))
        prepared = read | PrepareImages(resolve_model(str(vit_folder), None))
        for name, stage in (("read", read), ("prepared", prepared)):
            seen = stage | f"see {name}" >> beam.ParDo(_WhenAndWhere())
            unwindowed = seen | f"all {name}" >> beam.WindowInto(beam.window.GlobalWindows())
            assert_that(unwindowed, equal_to(expected), f"check {name}")


def _stamp(timed: tuple[str, int]) -> Any:
    return TimestampedValue(*timed)


def test_a_store_that_leaves_no_memory_fails_the_bundle() -> None:
    refs = [put("good.jpg"), put("bad.jpg", MemoryError("none is left"))]
    raised = pytest.raises(Exception, match="none is left")
    with raised, make_pipeline() as pipeline:
        _ = pipeline | beam.Create(refs) | ReadImages(flaky.OPTIONS)


def test_a_defect_of_a_client_is_the_row_of_its_object() -> None:
    refs = [put("good.jpg"), put("bad.jpg", RuntimeError("defect of the client"))]
    with make_pipeline() as pipeline:
        read = pipeline | beam.Create(refs) | ReadImages(flaky.OPTIONS) | beam.Map(_get_tries)
        assert_that(read, equal_to([("EncodedImage", 1), ("Failure", 1)]))


def test_a_store_that_is_slow_for_a_moment_costs_attempts_and_no_image() -> None:
    refs = [put(f"{index}.jpg", *[TimeoutError()] * (index % 3)) for index in range(9)]
    with make_pipeline() as pipeline:
        read = (
            pipeline
            | beam.Create(refs)
            | ReadImages(ReadOptions(first_wait_s=0, allow_schemes=flaky.SCHEMES))
        )
        tries = read | beam.Map(_get_tries)
        assert_that(tries, equal_to([("EncodedImage", count) for count in (1, 2, 3)] * 3))
    assert sum(FlakyStore.asked.values()) == 18


def _get_tries(image: Any) -> tuple[str, int]:
    return type(image).__name__, image.tries
