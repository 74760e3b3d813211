"""Cells of a table in a store that fails: what is tried again, and what is a failure."""

import dataclasses
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef, TableCell
from imgcls_beam.errors import FailureCode
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import cells
from imgcls_beam.reading.cells import read_cells
from tests import flaky
from tests.flaky import FlakyStore


@pytest.fixture(autouse=True)
def empty_store(monkeypatch: pytest.MonkeyPatch) -> None:
    flaky.empty()
    monkeypatch.setattr(cells, "_CURSORS", cells._Cursors())


def put_table(count: int = 5) -> tuple[list[ImageRef], list[bytes]]:
    data = [b"%d" % number for number in range(count)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": pa.array(data, pa.binary())}), sink)
    FlakyStore().pipe("/t.parquet", sink.getvalue().to_pybytes())
    ref = ImageRef("flaky://t.parquet::0")
    return [
        dataclasses.replace(ref, uri=f"{ref.object_uri}::{row}", locator=TableCell(0, row, "image"))
        for row in range(count)
    ], data


OPTIONS = ReadOptions(tries=3, allow_schemes=flaky.SCHEMES)


def test_a_passing_fault_is_tried_again_and_counted() -> None:
    refs, data = put_table()
    FlakyStore.faults["/t.parquet"] = iter([TimeoutError(), TimeoutError()])
    slept: list[float] = []
    results = read_cells(refs, OPTIONS, slept.append)
    assert [each.data for each in results if isinstance(each, EncodedImage)] == data
    assert {each.tries for each in results} == {3}
    assert len(slept) == 2


@pytest.mark.parametrize(
    ("fault", "code", "tries"),
    [
        (TimeoutError(), FailureCode.UNAVAILABLE, 3),
        (PermissionError(), FailureCode.PERMISSION_DENIED, 1),
        (FileNotFoundError(), FailureCode.NOT_FOUND, 1),
        (ValueError(), FailureCode.INVALID_REFERENCE, 1),
    ],
)
def test_a_fault_that_stays_is_a_failure_and_the_next_batch_begins_anew(
    fault: Exception, code: FailureCode, tries: int
) -> None:
    refs, data = put_table()
    FlakyStore.faults["/t.parquet"] = iter([fault] * tries)
    failures = read_cells(refs[:3], OPTIONS, lambda seconds: None)
    assert [each.code for each in failures if isinstance(each, Failure)] == [code] * 3
    assert {each.tries for each in failures} == {tries}
    rest = read_cells(refs[3:], OPTIONS)
    assert [each.data for each in rest if isinstance(each, EncodedImage)] == data[3:]


def test_a_range_that_comes_short_means_that_the_file_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refs, _ = put_table()
    whole = FlakyStore.cat_file

    def cut(self: FlakyStore, *args: Any, **options: Any) -> bytes:
        return whole(self, *args, **options)[:-1]

    monkeypatch.setattr(FlakyStore, "cat_file", cut)
    (failure,) = read_cells(refs[:1], OPTIONS)
    assert isinstance(failure, Failure)
    assert (failure.code, failure.retryable) == (FailureCode.CHANGED, True)


def test_what_is_not_known_is_a_failure_and_leaves_nothing_half_open() -> None:
    refs, data = put_table()
    FlakyStore.faults["/t.parquet"] = iter([KeyError("x")])
    failures = read_cells(refs, OPTIONS)
    assert {each.code for each in failures if isinstance(each, Failure)} == {FailureCode.UNREADABLE}
    assert [
        each.data for each in read_cells(refs, OPTIONS) if isinstance(each, EncodedImage)
    ] == data


def test_a_table_whose_scheme_is_not_allowed_is_a_failure_and_is_never_asked_for() -> None:
    refs, _ = put_table()
    (failure,) = read_cells(refs[:1], ReadOptions())
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.UNREADABLE
    assert not FlakyStore.asked
