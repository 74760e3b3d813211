"""Stretches of objects: members of archives and lines of request files."""

import base64
import dataclasses
import json
import os
import pathlib

import pytest

from imgcls_beam.elements import ByteSpan, EncodedImage, Failure, ImageRef, RequestLine
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.reading import read_images
from tests import flaky
from tests.flaky import FlakyStore, put, read
from tests.tars import write_tar


@pytest.fixture(autouse=True)
def empty_store() -> None:
    flaky.empty()


def cut(ref: ImageRef, start: int, end: int) -> ImageRef:
    return ImageRef(f"{ref.uri}::{start}", size_bytes=end - start, locator=ByteSpan(start, end))


def test_no_byte_before_or_behind_a_span_is_read() -> None:
    whole = put("a.tar", data=bytes(range(50)))
    spans = [cut(whole, 0, 10), cut(whole, 10, 20), cut(whole, 40, 50)]
    results = read(*spans, whole)
    found = [list(each.data) for each in results if isinstance(each, EncodedImage)]
    expected = [range(10), range(10, 20), range(40, 50), range(50)]
    assert found == [list(each) for each in expected]
    assert FlakyStore.delivered_bytes == 80


@pytest.mark.parametrize(
    ("start", "end", "code", "delivered_bytes"),
    [
        (5, 5, FailureCode.EMPTY, 0),
        (0, 101, FailureCode.TOO_MANY_BYTES, 0),
        (100, 201, FailureCode.TOO_MANY_BYTES, 0),
        (45, 60, FailureCode.CHANGED, 5),
        (60, 70, FailureCode.CHANGED, 0),
    ],
)
def test_a_span_that_is_not_what_was_listed_is_a_failure(
    start: int, end: int, code: FailureCode, delivered_bytes: int
) -> None:
    (result,) = read(cut(put("a.tar", data=b"x" * 50), start, end))
    assert isinstance(result, Failure)
    assert result.code is code
    assert FlakyStore.delivered_bytes == delivered_bytes


def test_a_span_needs_no_size_beside_its_own(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"0123456789")
    ref = ImageRef(f"{path.as_uri()}::x", locator=ByteSpan(3, 6))
    (result,) = read_images([ref], ReadOptions())
    assert result == EncodedImage(ref, b"345")


def test_members_of_an_archive_that_has_changed_or_gone_are_not_read(
    tmp_path: pathlib.Path,
) -> None:
    old = write_tar(tmp_path / "a.tar", [("a.jpg", b"1"), ("b.jpg", b"2")])
    same = write_tar(tmp_path / "b.tar", [("c.jpg", b"3")])
    (tmp_path / "d.jpg").write_bytes(b"4")
    refs = [each for each in list_images(InputOptions((str(tmp_path),)))]
    write_tar(old, [("b.jpg", b"2"), ("a.jpg", b"1")])
    os.utime(old, (2e9, 2e9))
    assert [
        each.code for each in read_images(refs, ReadOptions()) if isinstance(each, Failure)
    ] == [
        FailureCode.CHANGED,
        FailureCode.CHANGED,
    ]
    old.unlink()
    same.unlink()
    results = read_images(refs, ReadOptions())
    codes = [each.code for each in results if isinstance(each, Failure)]
    assert codes == [FailureCode.NOT_FOUND] * 3
    assert isinstance(results[3], EncodedImage)


def test_a_passing_fault_of_an_archive_is_tried_again() -> None:
    ref = cut(put("a.tar", TimeoutError(), data=b"x" * 50), 10, 20)
    (result,) = read(ref)
    assert isinstance(result, EncodedImage)
    assert (result.data, result.tries) == (b"x" * 10, 2)


def test_a_scheme_that_nothing_reads_is_a_failure_and_stops_nothing() -> None:
    known, unknown = put("a.jpg"), ImageRef("nothing://reads/this.jpg")
    options = ReadOptions(allow_schemes=(*flaky.SCHEMES, "nothing"))
    good, bad = read(known, unknown, options=options)
    assert isinstance(good, EncodedImage)
    assert isinstance(bad, Failure)
    assert (bad.code, bad.tries) == (FailureCode.UNREADABLE, 1)
    assert "installed" in bad.message


def ask(path: pathlib.Path, *lines: object) -> list[ImageRef | Failure]:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return list(list_images(InputOptions(requests=(str(path),))))


def to_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_request_line_becomes_its_image(tmp_path: pathlib.Path) -> None:
    lines = [{"inputs": to_text(b"image"), "id": "a"}, {"inputs": "http://x/y.jpg", "id": "b"}]
    good, bad = read_images(ask(tmp_path / "r.jsonl", *lines), ReadOptions())
    assert isinstance(good, EncodedImage)
    assert (good.data, good.ref.request_id) == (b"image", "a")
    assert isinstance(bad, Failure)
    assert (bad.code, bad.ref.request_id) == (FailureCode.INVALID_REQUEST, "b")


@pytest.mark.parametrize(
    ("size", "code"),
    [
        (3_000_000, None),
        (3_000_001, FailureCode.TOO_MANY_BYTES),
        (4_000_000, FailureCode.TOO_MANY_BYTES),
    ],
)
def test_the_limit_of_bytes_is_that_of_the_image_and_not_of_its_base64(
    tmp_path: pathlib.Path, size: int, code: FailureCode | None
) -> None:
    refs = ask(tmp_path / "r.jsonl", {"id": 7, "inputs": to_text(b"x" * size)})
    (result,) = read_images(refs, ReadOptions(max_bytes=3_000_000))
    assert (result.code if isinstance(result, Failure) else None) == code


def test_a_request_file_that_has_changed_is_not_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "r.jsonl"
    refs = ask(path, {"inputs": to_text(b"image")})
    ask(path, {"inputs": to_text(b"other")})
    os.utime(path, (2e9, 2e9))
    (result,) = read_images(refs, ReadOptions())
    assert isinstance(result, Failure)
    assert result.code is FailureCode.CHANGED
    fresh = [dataclasses.replace(each, version=None) for each in refs if isinstance(each, ImageRef)]
    (again,) = read_images(fresh, ReadOptions())
    assert isinstance(again, EncodedImage)
    assert isinstance(again.ref.locator, RequestLine)
    assert again.data == b"other"
