"""Compare-and-swap of one small file: the run record.

The answer of a store may be lost, and its client asks again: then the second request is refused,
because the first one was done. So a refused swap counts as done where exactly its bytes are there.
Two programs must not write equal bytes: a record names its session.
"""

import hashlib
import os
import time

import fsspec
from fsspec.asyn import sync
from fsspec.implementations.local import LocalFileSystem

from imgcls_beam.stores import file_operations
from imgcls_beam.stores.infos import has_protocol

_CONFLICT_WAITS_S = (0.1, 0.4, 1.6)


def read_with_etag(url: str) -> tuple[bytes, str]:
    """Reads a file, and the etag of this very content.

    Returns:
        The bytes, and the etag for `compare_and_swap`: on GCS the generation, on S3 the store's
        own etag, elsewhere the SHA-256.

    Raises:
        FileNotFoundError: there is none.
    """
    filesystem, path = file_operations.resolve(url)
    if has_protocol(filesystem, "gs"):
        headers, data = filesystem.call("GET", filesystem.url(path))
        return bytes(data), str(headers["x-goog-generation"])
    if has_protocol(filesystem, "s3"):
        bucket, key, _ = filesystem.split_path(path)
        answer = filesystem.call_s3("get_object", Bucket=bucket, Key=key)
        return sync(filesystem.loop, answer["Body"].read), str(answer["ETag"])
    with file_operations.open_existing(url) as source:
        data = source.read()
    return data, hashlib.sha256(data).hexdigest()


def compare_and_swap(url: str, data: bytes, etag: str | None, scratch: str) -> None:
    """Writes a file if its content is still the expected one.

    One of several that try wins: on GCS and S3 the store sees to it; on a local disk by a hard link
    where there was no file, else the caller holds `disk_lock.hold_lock`. On other stores the
    file is read, then written: in between, another program may write it.

    Args:
        url: the file.
        data: its new content.
        etag: of the expected content; None for no file.
        scratch: a path on the same store to write to first.

    Raises:
        FileExistsError: another content is there, or none where one was expected.
    """
    filesystem, path = file_operations.resolve(url)
    try:
        if has_protocol(filesystem, "gs"):
            _swap_on_gcs(filesystem, path, data, etag)
        elif has_protocol(filesystem, "s3"):
            _swap_on_s3(filesystem, path, data, etag)
        elif etag is None:
            file_operations.write_new_file(url, data, scratch)
        else:
            _swap_checked(filesystem, url, data, etag, scratch)
    except FileExistsError:
        if not _holds(url, data):
            raise


def _holds(url: str, data: bytes) -> bool:
    try:
        return read_with_etag(url)[0] == data
    except FileNotFoundError:
        return False


def _swap_on_gcs(
    filesystem: fsspec.AbstractFileSystem, path: str, data: bytes, etag: str | None
) -> None:
    bucket, key, _ = filesystem.split_path(path)
    filesystem.call(
        "POST",
        filesystem.base.replace("/storage/v1/", "/upload/storage/v1/") + "b/{}/o",
        bucket,
        uploadType="media",
        name=key,
        ifGenerationMatch=etag or "0",  # 0: no live object
        headers={"Content-Type": "application/octet-stream"},
        data=data,
    )


def _swap_on_s3(
    filesystem: fsspec.AbstractFileSystem, path: str, data: bytes, etag: str | None
) -> None:
    """S3 answers 412 where the condition fails; 409 where others write: then it may be repeated."""
    bucket, key, _ = filesystem.split_path(path)
    condition = {"IfMatch": etag} if etag is not None else {"IfNoneMatch": "*"}
    for wait_s in (*_CONFLICT_WAITS_S, None):
        try:
            filesystem.call_s3("put_object", Bucket=bucket, Key=key, Body=data, **condition)
            return
        except OSError as error:
            status = _http_status(error)
            if status == 412 or (status == 404 and etag is not None):  # 404: none that could match
                raise FileExistsError(path) from error
            if status != 409 or wait_s is None:
                raise
            time.sleep(wait_s)


def _http_status(error: BaseException) -> int | None:
    """The HTTP status that botocore keeps, below what s3fs made of it."""
    response = getattr(error.__cause__ or error, "response", None) or {}
    status: int | None = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _swap_checked(
    filesystem: fsspec.AbstractFileSystem, url: str, data: bytes, etag: str, scratch: str
) -> None:
    try:
        found = read_with_etag(url)[1]
    except FileNotFoundError as error:
        raise FileExistsError(url) from error
    if found != etag:
        raise FileExistsError(url)
    if not isinstance(filesystem, LocalFileSystem):
        filesystem.pipe_file(file_operations.resolve(url)[1], data)
        return
    file_operations.write_synced(scratch, data)
    os.replace(file_operations.resolve(scratch)[1], file_operations.resolve(url)[1])
