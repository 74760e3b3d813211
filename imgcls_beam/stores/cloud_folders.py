"""Folders of stores that compare and swap themselves: of several that try, the store lets one win.

fsspec has no such request; its `call` and `call_s3` send it, and of Azure our own client.
"""

import contextlib
import io
import itertools
import time
from collections.abc import Collection, Iterator, Sequence
from typing import IO

from fsspec.asyn import sync

from imgcls_beam.stores.at_once import AT_ONCE, run_at_once
from imgcls_beam.stores.folder import FileState, Folder
from imgcls_beam.stores.infos import list_below
from imgcls_beam.stores.versions import version_of

WHOLE_BYTES = 8 << 20
"""A file of so many bytes is read in one request, and held in memory meanwhile."""
BLOCK_BYTES = 16 << 20
"""Of a larger one, a request brings so many."""

_CONFLICT_WAITS_S = (0.1, 0.4, 1.6)
_ONE_COPY_BYTES = 5 << 30
_IN_A_DELETE = 1000


class BucketFolder(Folder):
    """A small file is one request, which is made again where its answer was lost.

    Several files are found by listing: stores tell what is there as soon as it is written. What is
    put in place is copied by the store, if it is still the version that was looked at.
    """

    __slots__ = ()

    @property
    def at_once(self) -> int:
        """These clients serve many threads."""
        return AT_ONCE

    @contextlib.contextmanager
    def open_pinned(self, name: str, size_bytes: int) -> Iterator[tuple[IO[bytes], str | None]]:
        """One request where it is small; else one more, and one for each block."""
        if size_bytes <= WHOLE_BYTES:
            data, etag = self.read_with_etag(name)
            yield io.BytesIO(data), version_of({"etag": etag})
            return
        with self.store.open(self.path_of(name), "rb", block_size=BLOCK_BYTES) as source:
            yield source, version_of(source.details)

    def find_files(self, name: str, wanted: Collection[str]) -> dict[str, FileState]:
        """One request for a thousand files of the folder."""
        start, found = self.path_of(name) + "/", {}
        for info in list_below(self.store, start, is_deep=True):
            each = f"{name}/{info['name'].removeprefix(start)}"
            if each in wanted:
                found[each] = FileState(info["size"], version_of(info))
        return found

    def put_in_place(self, name: str, target: str, state: FileState) -> None:
        """A copy by the store; the file stays where it was."""
        try:
            self._copy(name, target, state)
        except OSError as error:
            if not isinstance(error, FileExistsError) and _http_status(error) != 412:
                raise
            raise FileNotFoundError(self.url_of(name)) from error  # another version is there

    def move_new(self, name: str, target: str) -> None:
        """The store copies only to where there is nothing: of two programs one is refused.

        It is asked first, too: some servers that speak S3 know no such condition of a copy.
        """
        size_bytes = self.find_size(name)
        if size_bytes is None:
            raise FileNotFoundError(self.url_of(name))
        if self.find_size(target) is not None:
            raise FileExistsError(self.url_of(target))
        try:
            self._copy(name, target, FileState(size_bytes, None), is_new=True)
        except OSError as error:
            if not isinstance(error, FileExistsError) and _http_status(error) != 412:
                raise
            raise FileExistsError(self.url_of(target)) from error
        self.remove(name)

    def _copy(self, name: str, target: str, state: FileState, *, is_new: bool = False) -> None:
        """Copies a file of that version; 412 where it has another, or where one has to be new."""
        raise NotImplementedError

    def remove(self, *names: str) -> None:
        """Several at once."""
        run_at_once(super().remove, names, self.at_once)

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

    def _copy(self, name: str, target: str, state: FileState, *, is_new: bool = False) -> None:
        """A rewrite: large objects, and other places of storage, take several requests."""
        ends = [self.store.split_path(self.path_of(each))[:2] for each in (name, target)]
        asked = {"ifSourceGenerationMatch": state.version} if state.version else {}
        if is_new:
            asked["ifGenerationMatch"] = "0"  # no live object
        token: dict[str, str] = {}
        while True:
            answer = self.store.call(
                "POST",
                "b/{}/o/{}/rewriteTo/b/{}/o/{}",
                *ends[0],
                *ends[1],
                headers={"Content-Type": "application/json"},
                json_out=True,
                **asked,
                **token,
            )
            if answer["done"]:
                return
            token = {"rewriteToken": answer["rewriteToken"]}

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

    def _copy(self, name: str, target: str, state: FileState, *, is_new: bool = False) -> None:
        """S3 copies up to 5 GiB in one request; more is copied by s3fs, without conditions."""
        source, path = self.path_of(name), self.path_of(target)
        if state.size_bytes > _ONE_COPY_BYTES:
            self.store.cp_file(source, path)
            return
        bucket, key, _ = self.store.split_path(source)
        place = dict(zip(("Bucket", "Key"), self.store.split_path(path), strict=False))
        condition = {"CopySourceIfMatch": f'"{state.version}"'} if state.version else {}
        if is_new:
            condition["IfNoneMatch"] = "*"
        given = {"CopySource": {"Bucket": bucket, "Key": key}, **place, **condition}
        self.store.call_s3("copy_object", **given, **self.store.req_kw)

    def remove(self, *names: str) -> None:
        """A thousand in a request; one by one what that did not remove."""
        if len(names) > 1:
            chunks = [names[i : i + _IN_A_DELETE] for i in range(0, len(names), _IN_A_DELETE)]
            left = run_at_once(self._delete, chunks, self.at_once)
            names = tuple(itertools.chain.from_iterable(left))
        super().remove(*names)

    def _delete(self, names: Sequence[str]) -> Sequence[str]:
        """Deletes; gives those that are left, all of them where a store has no such request."""
        keys = {self.store.split_path(self.path_of(name))[1]: name for name in names}
        bucket = self.store.split_path(self.path_of(names[0]))[0]
        asked = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        try:
            answer = self.store.call_s3(
                "delete_objects", Bucket=bucket, Delete=asked, **self.store.req_kw
            )
        except OSError:
            return names
        return [keys[each["Key"]] for each in answer.get("Errors", ())]

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

    def _copy(self, name: str, target: str, state: FileState, *, is_new: bool = False) -> None:
        ends = self.path_of(name), self.path_of(target)
        self.store.cp_file(*ends, etag=state.version, is_new=is_new)

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
