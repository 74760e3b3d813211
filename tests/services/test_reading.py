"""From listing to reading: what is read is what was listed, or its row says why not."""

import dataclasses
import json
import pathlib
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions, ManifestOptions, ReadOptions
from imgcls_beam.reading import read_images
from tests.servers import BUCKET, Server
from tests.tars import write_tar

OPTIONS = ReadOptions(max_bytes=1_000_000, tries=3, first_wait_s=0.01)
ODD_NAMES = ("#7", "a#b.png", "a?b.png", "a [1].png", "ü::x.png", "100%25.png", "😀+&=;.png")


@pytest.fixture
def folder(server: Server) -> str:
    return f"{server.root}/read/{uuid.uuid4().hex}"


def _put(url: str, data: bytes, server: Server, **more: str) -> None:
    server.fill({url.removeprefix(f"{server.root}/"): data}, **more)


def _list(folder: str) -> list[ImageRef]:
    found = list(list_images(InputOptions(inputs=(f"{folder}/**",))))
    return [ref for ref in found if isinstance(ref, ImageRef)]


def _read(refs: list[ImageRef]) -> list[EncodedImage | Failure]:
    return read_images(refs, OPTIONS)


def _fail(ref: ImageRef) -> Failure:
    (result,) = _read([ref])
    assert isinstance(result, Failure)
    return result


def _count_reads(server: Server) -> int:
    """Requests for content; nothing else may have been asked."""
    asked = server.take_asked()
    reads = [each for each in asked if each.startswith("GET ") and "list-type" not in each]
    assert len(reads) == len(asked)
    return len(reads)


def test_every_object_is_read_with_one_request(server: Server, folder: str) -> None:
    contents = {f"{number}.png": f"image {number}".encode() for number in range(300)}
    name = folder.removeprefix(f"{server.root}/")
    server.fill({f"{name}/{key}": data for key, data in contents.items()})
    refs = _list(folder)
    server.take_asked()
    read = {each.ref.uri.rpartition("/")[2]: each for each in _read(refs)}
    assert _count_reads(server) == 300
    assert {
        key: each.data for key, each in read.items() if isinstance(each, EncodedImage)
    } == contents


def test_odd_names_are_listed_and_read(server: Server, folder: str) -> None:
    for name in ODD_NAMES:
        _put(f"{folder}/{name}", name.encode(), server)
    read = _read(_list(folder))
    names = {each.ref.uri.removeprefix(f"{folder}/"): each for each in read}
    assert {key: each.data for key, each in names.items() if isinstance(each, EncodedImage)} == {
        name: name.encode() for name in ODD_NAMES
    }


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_read_by_their_uri_alone(server: Server, folder: str, name: str) -> None:
    uri = f"{folder}/{name}"
    _put(uri, name.encode(), server)
    (read,) = _read([ImageRef(uri)])
    assert isinstance(read, EncodedImage)
    assert read.data == name.encode()


def test_what_was_overwritten_since_it_was_listed_is_changed(server: Server, folder: str) -> None:
    _put(f"{folder}/a.png", b"first", server)
    (ref,) = _list(folder)
    _put(f"{folder}/a.png", b"other", server)
    failure = _fail(ref)
    assert (failure.code, failure.tries, failure.retryable) == (FailureCode.CHANGED, 1, True)


def test_the_same_content_written_again_is_no_change(server: Server, folder: str) -> None:
    _put(f"{folder}/a.png", b"first", server)
    (ref,) = _list(folder)
    _put(f"{folder}/a.png", b"first", server)
    (read,) = _read([ref])
    assert isinstance(read, EncodedImage)


def test_what_was_deleted_since_it_was_listed_is_not_found(server: Server, folder: str) -> None:
    _put(f"{folder}/a.png", b"first", server)
    (ref,) = _list(folder)
    server.store.rm_file(ref.uri)
    assert _fail(ref).code is FailureCode.NOT_FOUND


def test_what_arrives_damaged_is_read_again(server: Server, folder: str) -> None:
    _put(f"{folder}/a.png", b"first", server)
    (ref,) = _list(folder)
    server.damage_answers("^GET .*a.png")
    (read,) = _read([ref])
    assert isinstance(read, EncodedImage)
    assert (read.data, read.tries) == (b"first", 2)


def test_what_always_arrives_damaged_is_a_failure(server: Server, folder: str) -> None:
    _put(f"{folder}/a.png", b"first", server)
    (ref,) = _list(folder)
    content = "^GET /download/" if server.scheme == "gs" else r"^GET .*a.png\?$"
    server.damage_answers(*[content] * 3)
    failure = _fail(ref)
    server.take_asked()
    assert (failure.code, failure.tries, failure.retryable) == (FailureCode.UNREADABLE, 3, True)
    assert "checksum" in failure.message


def test_a_part_of_an_object_of_unknown_size_is_not_taken_for_the_object(
    server: Server, folder: str
) -> None:
    _put(f"{folder}/a.png", bytes(range(100)), server)
    server.spoil("less", "^GET .*a.png")
    (read,) = _read([ImageRef(f"{folder}/a.png")])
    assert isinstance(read, EncodedImage)
    assert (read.data, read.tries) == (bytes(range(100)), 2)


def test_an_object_without_a_checksum_is_looked_up_after_it_was_read(
    server: Server, folder: str
) -> None:
    _put(f"{folder}/a.png", b"first", server)
    (ref,) = _list(folder)
    ref = dataclasses.replace(ref, checksum=None)
    (read,) = _read([ref])
    assert isinstance(read, EncodedImage)
    _put(f"{folder}/a.png", b"other", server)
    assert _fail(ref).code is FailureCode.CHANGED


def test_what_may_not_be_read_is_refused_and_the_others_are_read(server: Server) -> None:
    server.fill({"forbidden/a.png": b"a", "allowed/a.png": b"a"})
    if server.scheme == "s3":
        _forbid_s3(server)
    refs = _list(f"{server.root}/forbidden") + _list(f"{server.root}/allowed")
    refused, read = _read(refs)
    assert isinstance(refused, Failure)
    assert (refused.code, refused.tries) == (FailureCode.PERMISSION_DENIED, 1)
    assert isinstance(read, EncodedImage)


def _forbid_s3(server: Server) -> None:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/forbidden/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    server.store.call_s3("put_bucket_policy", Bucket=BUCKET, Policy=policy)


def test_a_bucket_that_is_not_there_is_not_found(server: Server) -> None:
    assert _fail(ImageRef(f"{server.scheme}://no-bucket-1/a.png")).code is FailureCode.NOT_FOUND


def test_a_bucket_is_asked_for_once_whatever_it_lacks(server: Server, folder: str) -> None:
    """GCS does not say whether it is the bucket that is missing; S3 does."""
    missing = [ImageRef(f"{folder}/{number}.png") for number in range(3)]
    nowhere = [ImageRef(f"{server.scheme}://no-bucket-2/{number}.png") for number in range(3)]
    server.take_asked()
    failures = [_fail(each) for each in (*missing, *nowhere, *missing)]
    asked = [each for each in server.take_asked() if ".png" not in each]
    assert {each.code for each in failures if isinstance(each, Failure)} == {FailureCode.NOT_FOUND}
    assert ["bucket" in each.message for each in failures] == [
        *[False] * 3,
        *[True] * 3,
        *[False] * 3,
    ]
    if server.scheme == "s3":
        assert asked == []
    else:
        assert len(asked) == 2
        assert all("maxResults=1&" in f"{each}&" for each in asked)


def test_a_bucket_that_is_silent_keeps_no_row_waiting_for_its_reason(gcs_server: Server) -> None:
    gcs_server.take_asked()
    gcs_server.spoil("503", "^GET /storage/v1/b/imgcls-test/o\\?", for_ever=True)
    failure = _fail(ImageRef(f"{gcs_server.root}/read/not-there.png"))
    asked = [each for each in gcs_server.take_asked() if "/o?" in each]
    assert (failure.code, failure.message) == (FailureCode.NOT_FOUND, "there is no such object")
    assert len(asked) == 1


def test_members_of_an_archive_are_read_and_pinned(
    server: Server, folder: str, tmp_path: pathlib.Path
) -> None:
    members = [("a.png", b"first"), ("b#1.png", b"second")]
    _put(f"{folder}/a.tar", write_tar(tmp_path / "a.tar", members).read_bytes(), server)
    refs = _list(folder)
    assert [ref.uri for ref in refs] == [f"{folder}/a.tar::{name}" for name, _ in members]
    read = _read(refs)
    assert [each.data for each in read if isinstance(each, EncodedImage)] == [b"first", b"second"]
    others = [(name, data[::-1]) for name, data in members]
    _put(f"{folder}/a.tar", write_tar(tmp_path / "b.tar", others).read_bytes(), server)
    assert {each.code for each in _read(refs) if isinstance(each, Failure)} == {FailureCode.CHANGED}


def test_cells_of_a_table_are_read_and_pinned(
    server: Server, folder: str, tmp_path: pathlib.Path
) -> None:
    pq.write_table(pa.table({"image": [b"first", b"second"]}), tmp_path / "a.parquet")
    _put(f"{folder}/a.parquet", (tmp_path / "a.parquet").read_bytes(), server)
    manifest = ManifestOptions(f"{folder}/a.parquet", image_column="image")
    refs = [
        ref for ref in list_images(InputOptions(manifest=manifest)) if isinstance(ref, ImageRef)
    ]
    assert [each.data for each in _read(refs) if isinstance(each, EncodedImage)] == [
        *(b"first", b"second")
    ]
    pq.write_table(pa.table({"image": [b"other", b"third!"]}), tmp_path / "a.parquet")
    _put(f"{folder}/a.parquet", (tmp_path / "a.parquet").read_bytes(), server)
    assert {each.code for each in _read(refs) if isinstance(each, Failure)} == {FailureCode.CHANGED}
