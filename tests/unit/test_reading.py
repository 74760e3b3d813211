"""Objects → bytes or a failure, one each, in order."""

import asyncio
import os
import pathlib
from typing import Any

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem

from imgcls_beam.elements import (
    ByteSpan,
    EncodedImage,
    Failure,
    ImageRef,
    Locator,
    RequestLine,
    TableCell,
)
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions, ReadOptions
from tests import flaky
from tests.flaky import FlakyStore, put, read, read_failure


@pytest.fixture(autouse=True)
def empty_store() -> None:
    flaky.empty()


def test_order_is_kept_across_stores(tmp_path: pathlib.Path) -> None:
    refs, expected = [], []
    for index in range(9):
        data = b"x" * (index + 1)
        if index % 3 == 0:
            (tmp_path / f"{index}.jpg").write_bytes(data)
            refs.append(ImageRef(f"file://{tmp_path}/{index}.jpg", size_bytes=len(data)))
        elif index % 3 == 1:
            refs.append(put(f"{index}.jpg", data=data))
        else:
            fsspec.filesystem("memory").pipe(f"/read/{index}.jpg", data)
            refs.append(ImageRef(f"memory://read/{index}.jpg"))
        expected.append(EncodedImage(refs[-1], data))
    gone = ImageRef(f"file://{tmp_path}/gone.jpg")
    *results, last = read(*refs, gone)
    assert results == expected
    assert isinstance(last, Failure)


def test_nothing_asked_is_nothing_read() -> None:
    assert read() == []


@pytest.mark.parametrize("name", ["a[1].jpg", "*.jpg", "what?.jpg", "new\nline.jpg", "a::b.jpg"])
def test_a_listed_name_is_read_to_the_letter(tmp_path: pathlib.Path, name: str) -> None:
    for index, each in enumerate((name, "a1.jpg", "other.jpg")):
        (tmp_path / each).write_bytes(bytes([index]))
    refs = list_images(InputOptions((str(tmp_path),)))
    read_back = {each.ref.uri: each.data for each in read(*refs) if isinstance(each, EncodedImage)}
    assert read_back[f"file://{tmp_path}/{name}"] == b"\0"
    assert len(read_back) == 3


@pytest.mark.timeout(60)  # opening a pipe waits until somebody writes to it
@pytest.mark.parametrize("name", ["pipe", "link", "folder", "/dev/zero"])
@pytest.mark.parametrize(
    "locator", [None, ByteSpan(0, 9), RequestLine(0, 9), TableCell(0, 0, "image")], ids=str
)
def test_what_is_no_file_is_a_failure_and_is_not_waited_for(
    tmp_path: pathlib.Path, name: str, locator: Locator | None
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "folder").mkdir()
    uri = f"file://{tmp_path / name}"
    failure = read_failure(ImageRef(uri if locator is None else f"{uri}::0", locator=locator))
    assert (failure.code, failure.retryable) == (FailureCode.UNREADABLE, False)
    assert failure.message == "it is no file: a pipe, a device or a folder"


@pytest.mark.parametrize(
    ("listed_bytes", "real_bytes", "code", "most_bytes"),
    [
        (100, 100, None, 100),
        (None, 100, None, 100),
        (101, 101, FailureCode.TOO_MANY_BYTES, 0),
        (None, 101, FailureCode.TOO_MANY_BYTES, 101),
        (None, 10_000, FailureCode.TOO_MANY_BYTES, 101),
        (7, 10_000, FailureCode.CHANGED, 8),
        (8, 7, FailureCode.CHANGED, 7),
        (8, 0, FailureCode.CHANGED, 0),
        (0, 0, FailureCode.EMPTY, 0),
        (0, 10_000, FailureCode.EMPTY, 0),
        (None, 0, FailureCode.EMPTY, 0),
    ],
)
def test_a_size_that_is_wrong_is_a_failure_and_costs_no_memory(
    listed_bytes: int | None,
    real_bytes: int,
    code: FailureCode | None,
    most_bytes: int,
) -> None:
    put("a.jpg", data=b"x" * real_bytes)
    ref = ImageRef("flaky://a.jpg", size_bytes=listed_bytes)
    (result,) = read(ref)
    assert (result.code if isinstance(result, Failure) else None) == code
    assert FlakyStore.delivered_bytes == most_bytes
    if isinstance(result, Failure):
        assert result.retryable == (code is FailureCode.CHANGED)
        assert result.tries == 1


def test_a_file_that_was_cut_after_its_listing_is_not_taken_for_the_image(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 50)
    (ref,) = list_images(InputOptions((str(path),)))
    path.write_bytes(b"x" * 30)
    assert read_failure(ref).code is FailureCode.CHANGED


class ParallelStore(AsyncFileSystem):
    """A store that answers many requests at once, later ones sooner."""

    protocol = "parallel"
    now = most = 0

    async def _cat_file(self, path: str, start: Any = None, end: Any = None) -> bytes:
        ParallelStore.now += 1
        ParallelStore.most = max(self.most, self.now)
        index = int(path.partition(".")[0])
        await asyncio.sleep(0.002 * (5 - index % 5))
        ParallelStore.now -= 1
        if index == 7:
            raise FileNotFoundError(path)
        return b"x" * (index + 1)


fsspec.register_implementation("parallel", ParallelStore, clobber=True)


def test_an_asynchronous_store_is_asked_for_so_many_at_once_and_answers_in_order() -> None:
    refs = [ImageRef(f"parallel://{index}.jpg", size_bytes=index + 1) for index in range(20)]
    results = read(*refs, options=ReadOptions(concurrency=6, allow_schemes=flaky.SCHEMES))
    assert [each.ref for each in results] == refs
    sizes = [len(each.data) if isinstance(each, EncodedImage) else None for each in results]
    assert sizes == [None if index == 7 else index + 1 for index in range(20)]
    assert ParallelStore.most == 6
