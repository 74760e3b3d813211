"""What only S3 has: etags that are no MD5, versions."""

import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.reading import look_up_versions, read_images
from tests.servers import BUCKET, Server


def _list(url: str) -> ImageRef:
    (ref,) = list_images(InputOptions(inputs=(url,)))
    assert isinstance(ref, ImageRef)
    return ref


def _read(ref: ImageRef) -> EncodedImage | Failure:
    (result,) = read_images([ref], ReadOptions(tries=2, first_wait_s=0.01))
    return result


def test_an_etag_of_kms_is_no_checksum_but_pins_the_content(s3_server: Server) -> None:
    s3_server.fill({"kms/a.png": b"first"}, encryption="aws:kms")
    ref = _list(f"{s3_server.root}/kms")
    read = _read(ref)
    assert isinstance(read, EncodedImage)
    assert (read.data, read.tries) == (b"first", 1)
    s3_server.fill({"kms/a.png": b"other"}, encryption="aws:kms")
    failure = _read(ref)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.CHANGED


def test_an_object_of_parts_has_no_checksum_and_is_looked_up(s3_server: Server) -> None:
    url = f"{s3_server.root}/parts/a.png"
    with s3_server.store.open(url, "wb", block_size=5 << 20) as file:
        file.write(bytes(11 << 20))
    ref = _list(f"{s3_server.root}/parts")
    assert (ref.checksum, ref.size_bytes) == (None, 11 << 20)
    assert str(ref.version).endswith("-1")
    s3_server.take_asked()
    assert isinstance(_read(ref), EncodedImage)
    assert [each.partition(" ")[0] for each in s3_server.take_asked()] == ["GET", "HEAD"]
    with s3_server.store.open(url, "wb", block_size=5 << 20) as file:
        file.write(b"\1" * (11 << 20))
    failure = _read(ref)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.CHANGED


@pytest.fixture
def versioned_bucket(s3_server: Server) -> str:
    bucket = "imgcls-versions"
    s3_server.fill({}, bucket=bucket)
    s3_server.store.call_s3(
        "put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    return f"s3://{bucket}"


def test_a_version_is_the_same_whether_listed_or_looked_up(
    s3_server: Server, versioned_bucket: str
) -> None:
    s3_server.store.pipe_file(f"{versioned_bucket}/v/a.png", b"first")
    s3_server.store.pipe_file(f"{versioned_bucket}/v/a.png", b"second")
    listed = _list(f"{versioned_bucket}/v")
    (looked_up,) = look_up_versions([ImageRef(listed.uri)], ReadOptions())
    assert isinstance(looked_up, ImageRef)
    assert looked_up.version == listed.version
    assert _list(listed.uri).version == listed.version
    read = _read(listed)
    assert isinstance(read, EncodedImage)
    assert read.data == b"second"


def test_a_bucket_with_versions_lists_the_live_objects_only(
    s3_server: Server, versioned_bucket: str
) -> None:
    store = s3_server.store
    store.pipe_file(f"{versioned_bucket}/live/a.png", b"first")
    store.pipe_file(f"{versioned_bucket}/live/b.png", b"first")
    store.rm_file(f"{versioned_bucket}/live/b.png")
    assert _list(f"{versioned_bucket}/live").uri == f"{versioned_bucket}/live/a.png"
    assert BUCKET not in versioned_bucket
