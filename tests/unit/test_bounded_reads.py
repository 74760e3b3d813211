"""Batches of images that are read as far as memory goes."""

import concurrent.futures
import pathlib
from collections.abc import Sequence

import pytest

from imgcls_beam.byte_budget import ByteBudget
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, TableCell
from imgcls_beam.errors import FailureCode, StoreError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import bounded_reads
from imgcls_beam.reading.bounded_reads import FIRST_BYTES, BoundedReads

LARGE_BYTES = FIRST_BYTES * 2
OPTIONS = ReadOptions(batch_bytes=LARGE_BYTES * 2, max_bytes=LARGE_BYTES * 4)


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> ByteBudget:
    budget = ByteBudget(LARGE_BYTES * 3)
    monkeypatch.setattr(bounded_reads, "_READING", budget)
    return budget


def _write(folder: pathlib.Path, sizes: Sequence[int]) -> list[ImageRef]:
    refs = []
    for index, size_bytes in enumerate(sizes):
        path = folder / f"{index}.jpg"
        path.write_bytes(bytes([index]) * size_bytes)
        refs.append(ImageRef(str(path)))
    return refs


def _sum_held(reads: BoundedReads) -> int:
    held = [each.result for each in reads._entries if isinstance(each.result, EncodedImage)]
    return sum(len(each.data) for each in held)


def test_images_of_unknown_size_are_read_in_order_and_never_all_at_once(
    tmp_path: pathlib.Path, budget: ByteBudget
) -> None:
    sizes = [LARGE_BYTES, 10, LARGE_BYTES, LARGE_BYTES, 20, *[LARGE_BYTES] * 8]
    refs = _write(tmp_path, sizes)
    reads = BoundedReads(refs, OPTIONS)
    reads.prefetch()
    most = 0
    for ref, size_bytes, result in zip(refs, sizes, reads, strict=True):
        assert isinstance(result, EncodedImage)
        assert (result.ref, len(result.data)) == (ref, size_bytes)
        most = max(most, _sum_held(reads))
    assert 0 < most <= OPTIONS.batch_bytes + LARGE_BYTES
    assert budget.lent_bytes == 0


def test_where_nothing_is_left_of_the_budget_each_is_read_when_it_is_asked_for(
    tmp_path: pathlib.Path, budget: ByteBudget
) -> None:
    budget.take(budget.limit_bytes)  # another thread's
    reads = BoundedReads(_write(tmp_path, [10] * 5), OPTIONS)
    reads.prefetch()
    assert _sum_held(reads) == 0
    assert [isinstance(each, EncodedImage) for each in reads] == [True] * 5
    assert budget.lent_bytes == budget.limit_bytes


def test_what_a_failed_bundle_leaves_goes_back(tmp_path: pathlib.Path, budget: ByteBudget) -> None:
    reads = BoundedReads(_write(tmp_path, [10] * 5), OPTIONS)
    reads.prefetch()
    assert budget.lent_bytes == 50
    del reads
    assert budget.lent_bytes == 0


def test_what_is_too_large_or_missing_is_its_own_failure(
    tmp_path: pathlib.Path, budget: ByteBudget
) -> None:
    refs = [*_write(tmp_path, [OPTIONS.max_bytes + 1, 7]), ImageRef(str(tmp_path / "none.jpg"))]
    first, second, third = BoundedReads(refs, OPTIONS)
    assert isinstance(first, Failure)
    assert first.code is FailureCode.TOO_MANY_BYTES
    assert str(OPTIONS.max_bytes) in first.message
    assert isinstance(second, EncodedImage)
    assert isinstance(third, Failure)
    assert third.code is FailureCode.NOT_FOUND
    assert budget.lent_bytes == 0


def test_what_is_known_comes_first_and_the_last_is_kept(
    tmp_path: pathlib.Path, budget: ByteBudget
) -> None:
    refs = _write(tmp_path, [3, 4])
    known = EncodedImage(ImageRef("a"), b"abc")
    reads = BoundedReads(refs, OPTIONS, [known])
    assert reads.last is None
    reads.prefetch()
    assert isinstance(reads.last, EncodedImage)
    assert reads.last.ref == refs[-1]
    assert next(iter(reads)) is known
    assert BoundedReads([], OPTIONS, [known]).last is known


def test_of_cells_whose_sizes_nobody_knows_eight_are_read_at_once() -> None:
    refs = [ImageRef("t.parquet", locator=TableCell(0, row, "image")) for row in range(20)]
    assert len(BoundedReads(refs, ReadOptions())._choose_wave()) == 8


def test_what_reading_on_has_raised_is_raised_before_it_goes_on() -> None:
    reads = BoundedReads([], ReadOptions())
    reads._reading = concurrent.futures.Future()
    reads._reading.set_exception(StoreError("it is gone"))
    with pytest.raises(StoreError, match="gone"):
        reads._go_on()
