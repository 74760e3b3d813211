"""Folders of stores that compare and swap themselves: of several that try, the store lets one win.

fsspec has no such request; its `call` and `call_s3` send it, and of Azure our own client.
"""

import time
from collections.abc import Iterator

from fsspec.asyn import sync

from imgcls_beam.stores.folder import Folder
from imgcls_beam.stores.infos import list_below

_CONFLICT_WAITS_S = (0.1, 0.4, 1.6)


class BucketFolder(Folder):
    """A small file is one request, which is made again where its answer was lost."""

    __slots__ = ()

    def write(self, name: str, data: bytes) -> None:
        """Without an upload of several steps."""
        self.store.pipe_file(self.path_of(name), data)


class GcsFolder(BucketFolder):
    """The etag is the generation of the object."""

    __slots__ = ()

    def read_with_etag(self, name: str) -> tuple[bytes, str]:
        """One request gives both."""
        headers, data = self.store.call("GET", self.store.url(self.path_of(name)))
        return bytes(data), str(headers["x-goog-generation"])

    def _swap(self, name: str, data: bytes, etag: str | None, scratch: str) -> None:
        bucket, key, _ = self.store.split_path(self.path_of(name))
        self.store.call(
            "POST",
            self.store.base.replace("/storage/v1/", "/upload/storage/v1/") + "b/{}/o",
            bucket,
            uploadType="media",
            name=key,
            ifGenerationMatch=etag or "0",  # 0: no live object
            headers={"Content-Type": "application/octet-stream"},
            data=data,
        )


class S3Folder(BucketFolder):
    """The etag is the store's own."""

    __slots__ = ()

    def read_with_etag(self, name: str) -> tuple[bytes, str]:
        """One request gives both."""
        bucket, key, _ = self.store.split_path(self.path_of(name))
        answer = self.store.call_s3("get_object", Bucket=bucket, Key=key)
        return sync(self.store.loop, answer["Body"].read), str(answer["ETag"])

    def _swap(self, name: str, data: bytes, etag: str | None, scratch: str) -> None:
        """S3 answers 412 where the condition fails; 409 where others write: it may be repeated."""
        bucket, key, _ = self.store.split_path(self.path_of(name))
        condition = {"IfMatch": etag} if etag is not None else {"IfNoneMatch": "*"}
        for wait_s in (*_CONFLICT_WAITS_S, None):
            try:
                self.store.call_s3("put_object", Bucket=bucket, Key=key, Body=data, **condition)
                return
            except OSError as error:
                status = _http_status(error)
                if status == 412 or (status == 404 and etag is not None):  # none that could match
                    raise FileExistsError(self.url_of(name)) from error
                if status != 409 or wait_s is None:
                    raise
                time.sleep(wait_s)


class AzureFolder(BucketFolder):
    """The etag is the store's own."""

    __slots__ = ()

    def read_with_etag(self, name: str) -> tuple[bytes, str]:
        """One request gives both."""
        found: tuple[bytes, str] = self.store.read_object(self.path_of(name))
        return found

    def _iterate_folders(self, path: str) -> Iterator[str]:
        for entry in list_below(self.store, path.rstrip("/") + "/", is_deep=False):
            if entry["type"] == "directory":
                yield entry["name"]

    def _swap(self, name: str, data: bytes, etag: str | None, scratch: str) -> None:
        self.store.put_object(self.path_of(name), data, etag)


def _http_status(error: BaseException) -> int | None:
    """The HTTP status that botocore keeps, below what s3fs made of it."""
    response = getattr(error.__cause__ or error, "response", None) or {}
    status: int | None = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status
