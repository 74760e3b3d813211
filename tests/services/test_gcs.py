"""What only GCS has: generations, composed objects, objects kept as gzip."""

import gzip

import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.reading import look_up_versions, read_images
from tests.servers import Server

_LONG = b"an image " * 1_000


def _list(url: str) -> ImageRef:
    (ref,) = list_images(InputOptions(inputs=(url,)))
    assert isinstance(ref, ImageRef)
    return ref


def _read(ref: ImageRef, max_bytes: int = 1_000_000) -> EncodedImage | Failure:
    options = ReadOptions(tries=2, first_wait_s=0.01, max_bytes=max_bytes)
    (result,) = read_images([ref], options)
    return result


def test_the_version_is_the_generation_whether_listed_or_looked_up(gcs_server: Server) -> None:
    gcs_server.fill({"generation/a.png": b"first"})
    listed = _list(f"{gcs_server.root}/generation")
    (looked_up,) = look_up_versions([ImageRef(listed.uri)], ReadOptions())
    assert isinstance(looked_up, ImageRef)
    gcs_server.take_asked()
    look_up_versions([ImageRef(listed.uri)], ReadOptions())
    assert len(gcs_server.take_asked()) == 1
    info = gcs_server.store.info(listed.uri)
    assert listed.version == looked_up.version == info["generation"]


def test_a_composed_object_is_checked_by_its_crc(gcs_server: Server) -> None:
    gcs_server.fill({"composed/a.png": b"first"}, componentCount="2")
    ref = _list(f"{gcs_server.root}/composed")
    assert ref.checksum == "crc32c:ij6hUA=="
    gcs_server.damage_answers("^GET /download/.*a.png")
    read = _read(ref)
    assert isinstance(read, EncodedImage)
    assert (read.data, read.tries) == (b"first", 2)
    gcs_server.fill({"composed/a.png": b"other"}, componentCount="2")
    failure = _read(ref)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.CHANGED


@pytest.mark.parametrize("is_listed", [True, False])
def test_what_is_kept_as_gzip_is_read_unpacked(gcs_server: Server, is_listed: bool) -> None:
    gcs_server.fill({"gzip/a.png": gzip.compress(_LONG)}, contentEncoding="gzip")
    url = f"{gcs_server.root}/gzip/a.png"
    ref = _list(f"{gcs_server.root}/gzip") if is_listed else ImageRef(url)
    assert (ref.size_bytes, ref.checksum) == (None, None)
    read = _read(ref)
    assert isinstance(read, EncodedImage)
    assert read.data == _LONG
    failure = _read(ref, max_bytes=len(_LONG) - 1)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.TOO_MANY_BYTES


def test_what_is_kept_as_gzip_and_has_changed_is_found_out(gcs_server: Server) -> None:
    gcs_server.fill({"packed/a.png": gzip.compress(_LONG)}, contentEncoding="gzip")
    ref = _list(f"{gcs_server.root}/packed")
    gcs_server.fill({"packed/a.png": gzip.compress(_LONG[::-1])}, contentEncoding="gzip")
    failure = _read(ref)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.CHANGED
