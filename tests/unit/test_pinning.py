"""What was read is what was listed: versions of files, checksums of objects."""

import base64
import hashlib
import os
import pathlib
import types
from typing import Any

import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.reading import read_images
from imgcls_beam.stores import (
    checksum_of,
    has_secret_etag,
    has_version,
    is_content,
    open_store,
    size_of,
    version_of,
)
from tests import flaky

_DIGEST = hashlib.md5(b"image").digest()
_MD5 = f"md5:{_DIGEST.hex()}"
_BASE64 = base64.b64encode(_DIGEST).decode()


def _settings(md5: object) -> types.SimpleNamespace:
    """As Azure's SDK gives them."""
    return types.SimpleNamespace(content_md5=md5)


@pytest.mark.parametrize(
    ("info", "checksum"),
    [
        ({"md5Hash": _BASE64, "crc32c": "ij6hUA==", "generation": "7"}, _MD5),
        ({"md5Hash": None, "crc32c": "ij6hUA=="}, "crc32c:ij6hUA=="),
        ({"md5Hash": _BASE64, "crc32c": "ij6hUA==", "contentEncoding": "gzip"}, None),
        ({"ETag": f'"{_DIGEST.hex()}"', "StorageClass": "STANDARD"}, _MD5),
        ({"ETag": f'"{_DIGEST.hex()}"'}, _MD5),
        ({"ETag": f'"{_DIGEST.hex()}-2"'}, None),
        ({"ETag": f'"{_DIGEST.hex()}"', "StorageClass": "EXPRESS_ONEZONE"}, None),
        ({"ETag": ""}, None),
        ({"etag": "0x8D4BCC2E4835CD0", "content_settings": _settings(bytearray(_DIGEST))}, _MD5),
        ({"etag": "0x8D4BCC2E4835CD0", "content_settings": _settings(None)}, None),
        ({"content_settings": _settings("not base64!")}, None),
        ({"content_settings": _settings(b"short")}, None),
        ({"mtime": 1.0}, None),
    ],
)
def test_a_checksum_is_taken_where_a_store_has_one(
    info: dict[str, Any], checksum: str | None
) -> None:
    assert checksum_of(info) == checksum


@pytest.mark.parametrize("checksum", [_MD5, "crc32c:ij6hUA=="])
def test_bytes_are_told_from_others_by_their_checksum(checksum: str) -> None:
    data = b"image" if checksum == _MD5 else b"first"
    assert is_content(data, checksum) is True
    assert is_content(data[::-1], checksum) is False


@pytest.mark.parametrize(
    ("info", "version"),
    [
        ({"generation": "7", "etag": "CAE="}, "7"),
        ({"ETag": '"abc"', "VersionId": "v1"}, "abc"),
        ({"ETag": '"abc"', "VersionId": None}, "abc"),
        ({"etag": "0x8D4"}, "0x8D4"),
        ({"mtime": 1.5}, "1970-01-01T00:00:01.500000+00:00"),
        ({}, None),
    ],
)
def test_a_version_is_the_store_s_own_mark(info: dict[str, Any], version: str | None) -> None:
    assert version_of(info) == version
    assert has_version(info, version)
    assert has_version(info, None)
    assert not has_version(info, "another")


def test_what_is_packed_has_no_size_of_what_is_read() -> None:
    assert size_of({"size": 7}) == 7
    assert size_of({"size": 7, "contentEncoding": "gzip"}) is None
    assert size_of({}) is None


@pytest.mark.parametrize(
    ("info", "is_secret"),
    [
        ({"ServerSideEncryption": "aws:kms"}, True),
        ({"ServerSideEncryption": "aws:kms:dsse"}, True),
        ({"SSECustomerAlgorithm": "AES256"}, True),
        ({"ServerSideEncryption": "AES256"}, False),
        ({}, False),
    ],
)
def test_an_etag_is_no_md5_where_a_key_encrypts(info: dict[str, Any], is_secret: bool) -> None:
    assert has_secret_etag(info) == is_secret


def _list(path: pathlib.Path | str) -> ImageRef:
    (ref,) = list_images(InputOptions(inputs=(str(path),)))
    assert isinstance(ref, ImageRef)
    return ref


def _read(ref: ImageRef) -> EncodedImage | Failure:
    (result,) = read_images([ref], ReadOptions())
    return result


def test_a_file_that_was_overwritten_with_as_many_bytes_is_changed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"first")
    ref = _list(tmp_path)
    assert isinstance(_read(ref), EncodedImage)
    path.write_bytes(b"other")
    os.utime(path, (1, 1))
    failure = _read(ref)
    assert isinstance(failure, Failure)
    assert (failure.code, failure.retryable) == (FailureCode.CHANGED, True)


@pytest.mark.parametrize("is_listed_by_name", [True, False])
def test_a_link_has_the_version_of_what_it_leads_to(
    tmp_path: pathlib.Path, is_listed_by_name: bool
) -> None:
    target, folder = tmp_path / "target.png", tmp_path / "links"
    folder.mkdir()
    target.write_bytes(b"first")
    os.utime(target, (1, 1))
    (folder / "link.png").symlink_to(target)
    ref = _list(folder / "link.png" if is_listed_by_name else folder)
    assert (ref.version, ref.size_bytes) == ("1970-01-01T00:00:01.000000+00:00", 5)
    assert isinstance(_read(ref), EncodedImage)
    os.utime(target, (2, 2))
    assert isinstance(_read(ref), Failure)


def test_an_object_with_a_version_and_no_checksum_is_looked_up_after_it_was_read() -> None:
    store, path = open_store("input", "memory://pinning/a.png")
    store.pipe_file(path, b"first")
    ref = _list("memory://pinning/a.png")
    assert (ref.checksum, ref.version is None) == (None, False)
    assert isinstance(_read(ref), EncodedImage)
    store.rm_file(path)
    store.pipe_file(path, b"other")
    failure = _read(ref)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.CHANGED


@pytest.mark.parametrize(
    ("checksum", "tries"), [(_MD5, 1), (f"md5:{'0' * 32}", flaky.OPTIONS.tries)]
)
def test_bytes_without_the_listed_checksum_are_read_again(checksum: str, tries: int) -> None:
    flaky.empty()
    flaky.put("a.png", data=b"image")
    (result,) = flaky.read(ImageRef("flaky://a.png", size_bytes=5, checksum=checksum))
    if tries == 1:
        assert isinstance(result, EncodedImage)
    else:
        assert isinstance(result, Failure)
        assert (result.code, result.retryable) == (FailureCode.UNREADABLE, True)
    assert result.tries == flaky.FlakyStore.asked["/a.png"] == tries
