"""Compare-and-swap of one small file: the run record.

A store's answer may be lost, and its client asks again: then it finds its own bytes where it was
to find the old ones. So a swap that is refused is done all the same where exactly its bytes stand.
Two programs must not swap in equal bytes: a record names its attempt.
"""

import hashlib
import os
import time

import fsspec
from fsspec.asyn import sync
from fsspec.implementations.local import LocalFileSystem

from imgcls_beam.sinks import store
from imgcls_beam.stores import has_protocol

_ANY_CONFLICT_WAITS_S = (0.1, 0.4, 1.6)


def read_marked(url: str) -> tuple[bytes, str]:
    """Reads a file with the store's mark of this very content.

    Returns:
        The bytes, and what `swap_file` wants to see standing there: on GCS the generation, on S3
        the etag, elsewhere the SHA-256.

    Raises:
        FileNotFoundError: there is none.
    """
    filesystem, path = store.resolve(url)
    if has_protocol(filesystem, "gs"):
        headers, data = filesystem.call("GET", filesystem.url(path))
        return bytes(data), str(headers["x-goog-generation"])
    if has_protocol(filesystem, "s3"):
        bucket, key, _ = filesystem.split_path(path)
        answer = filesystem.call_s3("get_object", Bucket=bucket, Key=key)
        return sync(filesystem.loop, answer["Body"].read), str(answer["ETag"])
    with store.open_existing(url) as source:
        data = source.read()
    return data, hashlib.sha256(data).hexdigest()


def swap_file(url: str, data: bytes, mark: str | None, scratch: str) -> None:
    """Writes a file if what stands there is what was marked.

    One of several that try wins: on GCS and S3 the store sees to it; on a local disk by a hard link
    where nothing stood, else the caller holds `store.hold_lock`. Other stores are asked first and
    written then: in between, another program may write there.

    Args:
        url: the file.
        data: its new content.
        mark: of what has to stand there; None for nothing.
        scratch: a place on the same store to write to first.

    Raises:
        FileExistsError: something else stands there, or nothing where something should.
    """
    filesystem, path = store.resolve(url)
    try:
        if has_protocol(filesystem, "gs"):
            _swap_on_gcs(filesystem, path, data, mark)
        elif has_protocol(filesystem, "s3"):
            _swap_on_s3(filesystem, path, data, mark)
        elif mark is None:
            store.write_new_file(url, data, scratch)
        else:
            _swap_checked(filesystem, url, data, mark, scratch)
    except FileExistsError:
        if not _stands(url, data):
            raise


def _stands(url: str, data: bytes) -> bool:
    try:
        return read_marked(url)[0] == data
    except FileNotFoundError:
        return False


def _swap_on_gcs(
    filesystem: fsspec.AbstractFileSystem, path: str, data: bytes, mark: str | None
) -> None:
    bucket, key, _ = filesystem.split_path(path)
    filesystem.call(
        "POST",
        filesystem.base.replace("/storage/v1/", "/upload/storage/v1/") + "b/{}/o",
        bucket,
        uploadType="media",
        name=key,
        ifGenerationMatch=mark or "0",  # 0: no live object
        headers={"Content-Type": "application/octet-stream"},
        data=data,
    )


def _swap_on_s3(
    filesystem: fsspec.AbstractFileSystem, path: str, data: bytes, mark: str | None
) -> None:
    """S3 answers 412 where the condition fails; 409 where others write: then it may be repeated."""
    bucket, key, _ = filesystem.split_path(path)
    condition = {"IfMatch": mark} if mark is not None else {"IfNoneMatch": "*"}
    for wait_s in (*_ANY_CONFLICT_WAITS_S, None):
        try:
            filesystem.call_s3("put_object", Bucket=bucket, Key=key, Body=data, **condition)
            return
        except OSError as error:
            status = _http_status(error)
            if status == 412 or (status == 404 and mark is not None):  # 404: none that could match
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
    filesystem: fsspec.AbstractFileSystem, url: str, data: bytes, mark: str, scratch: str
) -> None:
    try:
        stands = read_marked(url)[1]
    except FileNotFoundError as error:
        raise FileExistsError(url) from error
    if stands != mark:
        raise FileExistsError(url)
    if not isinstance(filesystem, LocalFileSystem):
        filesystem.pipe_file(store.resolve(url)[1], data)
        return
    with store.open_new(scratch) as target:
        target.write(data)
        target.flush()
        os.fsync(target.fileno())
    os.replace(store.resolve(scratch)[1], store.resolve(url)[1])
