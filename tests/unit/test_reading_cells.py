"""Cells of Parquet files: quick in order, right in any order, and a failure where there is none."""

import concurrent.futures
import dataclasses
import itertools
import os
import pathlib
import random
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef, TableCell
from imgcls_beam.listing.manifests import list_manifest
from imgcls_beam.options import ManifestOptions, ReadOptions
from imgcls_beam.reading import cells, read_images

BATCH_ROWS = (8 << 20) // 50_000
READ = ReadOptions()
KINDS = [
    pa.binary(),
    pa.large_binary(),
    pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    pa.struct({"path": pa.string(), "bytes": pa.large_binary(), "more": pa.int8()}),
]


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The row groups that were begun, since the test began; no cursor is left from another."""
    begun: list[int] = []
    iterate = cells.iterate_cells

    def note(file: Any, row_group: int, column: str, max_bytes: int) -> Iterator[cells.Cell]:
        begun.append(row_group)
        return iterate(file, row_group, column, max_bytes)

    monkeypatch.setattr(cells, "iterate_cells", note)
    monkeypatch.setattr(cells, "_CURSORS", cells._Cursors())
    return begun


def write(
    path: pathlib.Path, data: list[bytes | None], kind: pa.DataType = KINDS[2], **how: Any
) -> list[ImageRef]:
    is_struct = pa.types.is_struct(kind)
    column = pa.array([{"bytes": each} for each in data] if is_struct else data, kind)
    pq.write_table(pa.table({"image": column, "n": range(len(data))}), path, **how)
    listed = list_manifest(ManifestOptions(str(path), image_column="image"))
    return [each for each in listed if isinstance(each, ImageRef)]


def make_images(count: int, size: int = 100) -> list[bytes | None]:
    return [number.to_bytes(4, "big") + os.urandom(size) for number in range(count)]


def read_data(refs: list[ImageRef], options: ReadOptions = READ) -> list[bytes | str]:
    results = read_images(refs, options)
    assert [each.ref for each in results] == refs
    return [each.data if isinstance(each, EncodedImage) else each.code.value for each in results]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
def test_every_cell_is_found_in_any_order(
    tmp_path: pathlib.Path, kind: pa.DataType, order: str
) -> None:
    data = make_images(100)
    refs = write(tmp_path / "t.parquet", data, kind, row_group_size=30)
    rows = list(range(100))
    if order == "backward":
        rows.reverse()
    elif order == "shuffled":
        random.Random(3).shuffle(rows)
    for start in range(0, 100, 7):
        asked = rows[start : start + 7]
        assert read_data([refs[row] for row in asked]) == [data[row] for row in asked]


def test_who_reads_on_in_order_begins_each_row_group_once(
    tmp_path: pathlib.Path, opened: list[int]
) -> None:
    data = make_images(200)
    refs = write(tmp_path / "t.parquet", data, row_group_size=70)
    for start in range(0, 200, 16):
        assert read_data(refs[start : start + 16]) == data[start : start + 16]
    assert opened == [0, 1, 2]


def test_batches_that_change_places_begin_it_once_too(
    tmp_path: pathlib.Path, opened: list[int]
) -> None:
    data = make_images(96)
    refs = write(tmp_path / "t.parquet", data)
    for start in (16, 0, 48, 32, 80, 64):
        assert read_data(refs[start : start + 16]) == data[start : start + 16]
    assert opened == [0]


def test_what_a_cursor_passes_is_kept_within_a_limit(
    tmp_path: pathlib.Path, opened: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "_PASSED_BYTES", 1000)
    data = make_images(50, size=96)
    refs = write(tmp_path / "t.parquet", data)
    assert read_data([refs[40]]) == [data[40]]
    assert read_data(refs[30:40]) == data[30:40]
    assert opened == [0]
    assert read_data([refs[29]]) == [data[29]]
    assert opened == [0, 0]


def test_two_threads_read_one_table(tmp_path: pathlib.Path) -> None:
    data = make_images(600, size=1000)
    refs = write(tmp_path / "t.parquet", data, row_group_size=100)
    starts = range(0, 600, 16)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        batches = list(pool.map(lambda start: read_data(refs[start : start + 16]), starts))
    assert list(itertools.chain.from_iterable(batches)) == data


def test_cells_stand_among_objects_and_failures(tmp_path: pathlib.Path) -> None:
    data = make_images(3)
    refs = write(tmp_path / "t.parquet", data)
    (tmp_path / "a.jpg").write_bytes(b"file")
    file = ImageRef(f"file://{tmp_path}/a.jpg")
    lost = read_images([ImageRef(f"file://{tmp_path}/gone.jpg")], ReadOptions())[0]
    assert isinstance(lost, Failure)
    results = read_images([refs[2], lost, file, refs[2], refs[0]], ReadOptions())
    assert results[1] is lost
    found = [each.data for each in results if isinstance(each, EncodedImage)]
    assert found == [data[2], b"file", data[2], data[0]]


def test_a_cell_without_an_image_is_a_failure_of_its_own(tmp_path: pathlib.Path) -> None:
    data: list[bytes | None] = [b"x" * 10, None, b"", b"x" * 11, b"y" * 5000, b"z"]
    refs = write(tmp_path / "t.parquet", data)
    options = ReadOptions(max_bytes=10)
    expected = [b"x" * 10, "empty", "empty", "too_many_bytes", "too_many_bytes", b"z"]
    assert read_data(refs, options) == expected


def test_a_struct_that_is_null_or_only_names_a_path_has_no_image(tmp_path: pathlib.Path) -> None:
    column = pa.array([None, {"bytes": None, "path": "/etc/hosts"}, {"bytes": b"x"}], KINDS[2])
    pq.write_table(pa.table({"image": column}), tmp_path / "t.parquet")
    ref = ImageRef(f"file://{tmp_path}/t.parquet::0")
    refs = [dataclasses.replace(ref, locator=TableCell(0, row, "image")) for row in range(3)]
    assert read_data(refs) == ["empty", "empty", b"x"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_cell_without_bytes_says_how_its_path_is_read(
    tmp_path: pathlib.Path, kind: pa.DataType
) -> None:
    refs = write(tmp_path / "t.parquet", [b"x", None, b""], kind)
    messages = [each.message for each in read_images(refs, READ) if isinstance(each, Failure)]
    path = (
        "; where it has a path, read that: --uri_column=image.path in the place of --image_column"
    )
    hint = path if pa.types.is_struct(kind) else ""
    assert messages == [f"the cell has no bytes{hint}"] * 2


def test_a_file_that_has_changed_or_gone_is_not_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "t.parquet"
    refs = write(path, make_images(40))
    assert read_data(refs[:2])[0] != "changed"
    newer = write(path, make_images(40))
    os.utime(path, (2e9, 2e9))
    assert read_data(refs[2:4]) == ["changed"] * 2
    assert newer[0].version != refs[0].version
    path.unlink()
    assert read_data(refs[4:6]) == ["not_found"] * 2


def test_a_file_without_a_version_is_opened_anew_when_it_has_changed(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "t.parquet"
    for number in range(2):
        data = make_images(5, size=50 + number)
        refs = [dataclasses.replace(ref, version=None) for ref in write(path, data)]
        os.utime(path, (2e9 + number, 2e9 + number))
        assert read_data(refs) == data


@pytest.mark.parametrize(
    "locator",
    [
        TableCell(0, 5, "image"),
        TableCell(7, 0, "image"),
        TableCell(0, 0, "gone"),
        TableCell(0, 0, "n"),
    ],
)
def test_a_place_that_is_not_in_the_file_is_a_failure(
    tmp_path: pathlib.Path, locator: TableCell
) -> None:
    data = make_images(5)
    refs = write(tmp_path / "t.parquet", data)
    wrong = dataclasses.replace(refs[0], locator=locator)
    assert read_data([refs[1], wrong, refs[2]]) == [data[1], "unreadable", data[2]]


def test_damage_costs_the_cells_behind_it_and_at_most_a_batch_before_it(
    tmp_path: pathlib.Path, opened: list[int]
) -> None:
    path = tmp_path / "t.parquet"
    data = make_images(600, size=50_000)
    refs = write(path, data, KINDS[0], compression="none", use_dictionary=False, write_batch_size=8)
    content = bytearray(path.read_bytes())
    start = content.index((data[400] or b"")[:60]) - 4
    content[start : start + 4] = b"\xff\xff\xff\x7f"  # the length of the value
    path.write_bytes(content)
    refs = [dataclasses.replace(ref, version=None) for ref in refs]
    found = [each for row in range(0, 600, 50) for each in read_data(refs[row : row + 50])]
    whole = found.index("unreadable")
    assert 400 - BATCH_ROWS <= whole <= 400
    assert found[:whole] == data[:whole]
    assert set(found[whole:]) == {"unreadable"}
    assert opened == [0]


def test_a_flipped_byte_is_found_where_the_writer_left_checksums(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "t.parquet"
    data = make_images(5)
    how = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    refs = write(path, data, **how)
    content = bytearray(path.read_bytes())
    content[content.index((data[2] or b"")[:60]) + 50] ^= 1
    path.write_bytes(content)
    refs = [dataclasses.replace(ref, version=None) for ref in refs]
    assert read_data(refs) == ["unreadable"] * 5
