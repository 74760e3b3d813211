"""What stores say of objects: one that is asked for, or those of a bucket, a page at a time.

fsspec's `find` and `ls` of buckets give back a whole listing at once; their public `call_s3` and
`call` ask for one page, and our own client of Azure does. A page has 1,000 keys at most, Azure's
5,000, in the order of the keys' UTF-8.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

Info = Mapping[str, Any]
"""What a store says of an object, as fsspec has it: `name`, `type`, `size` and more."""

_Page = tuple[list[Info], str]
"""Folders and objects by their keys, and the token of the next page; empty after the last."""

_GCS_FIELDS = (
    "nextPageToken,prefixes,"
    "items(name,size,generation,updated,md5Hash,crc32c,contentEncoding,storageClass)"
)


def has_protocol(store: AbstractFileSystem, name: str) -> bool:
    """Whether a store is of the kind that a scheme names."""
    names = store.protocol
    return name == names if isinstance(names, str) else name in names


def is_local(store: AbstractFileSystem) -> bool:
    """Whether a store is a disk of this machine."""
    return isinstance(store, LocalFileSystem)


def has_pages(store: AbstractFileSystem) -> bool:
    """Whether `list_below` knows this kind of store."""
    return _find_questions(store) is not None


def find_info(store: AbstractFileSystem, path: str, *, is_object: bool = False) -> Info:
    """What a store knows of an object now.

    A link on a local disk has size and time of its target, which is what is read. Buckets are asked
    directly: gcsfs asks twice, s3fs leaves out how an object is encrypted.

    Args:
        store: where it lies.
        path: as the store spells it.
        is_object: whether it is no folder; then one request tells that it is not there.

    Raises:
        FileNotFoundError: it is not there.
    """
    questions = _find_questions(store)
    bucket, key, _ = store.split_path(path) if questions else ("", "", None)
    # a/ is a folder, though its placeholder is an object.
    if questions and key and not key.endswith("/"):
        try:
            return {
                **questions.ask_object(store, bucket, key),
                "name": f"{bucket}/{key}",
                "type": "file",
            }
        except OSError as error:
            # It may be a folder; and gcsfs looks into the listing where objects may not be asked
            # for: it says so with an OSError of no further kind.
            is_known = not isinstance(error, FileNotFoundError) and type(error) is not OSError
            if is_object or is_known:
                raise
    info: Info = store.info(path)
    if info.get("islink"):
        target = os.stat(path)
        info = {**info, "size": target.st_size, "mtime": target.st_mtime}
    return info


def list_below(store: AbstractFileSystem, start: str, *, is_deep: bool) -> Iterator[Info]:
    """Lists what has names that start so, in the order of the names; one page is in memory.

    Args:
        store: one that `has_pages`.
        start: the bucket, a slash, and how the keys start; a folder's slash is part of it.
        is_deep: whether to give all keys; else those with a further slash are one folder up to it.

    Yields:
        For an object what the store says of it, `name` (with its bucket), `type` `file`, and `size`
        in bytes; for a folder `name`, without its slash, and `type` `directory`. Objects whose
        names end in a slash are left out: they are placeholders of folders.
    """
    bucket, _, prefix = start.partition("/")
    questions = _find_questions(store)
    assert questions is not None
    token = ""
    while True:
        page, token = questions.ask_page(store, bucket, prefix, "" if is_deep else "/", token)
        for entry in sorted(page, key=lambda info: str(info["name"]).encode()):
            if not entry["name"].endswith("/"):
                yield {**entry, "name": f"{bucket}/{entry['name']}", "type": "file"}
            elif "size" not in entry:
                yield {"name": f"{bucket}/{entry['name'][:-1]}", "type": "directory"}
        if not token:
            return


def ask_bucket(store: AbstractFileSystem, bucket: str) -> None:
    """Asks for one key of a bucket, the least that shows that it is there; of a `has_pages` store.

    Raises:
        Exception: what its client raises, where there is no such bucket.
    """
    if has_protocol(store, "s3"):
        store.call_s3("list_objects_v2", Bucket=bucket, MaxKeys=1, **store.req_kw)
    elif has_protocol(store, "gs"):
        store.call("GET", "b/{}/o", bucket, json_out=True, maxResults=1, fields="nextPageToken")
    else:
        next(list_below(store, f"{bucket}/", is_deep=False), None)


def _ask_gcs(store: AbstractFileSystem, bucket: str, key: str) -> Info:
    found = store.call("GET", "b/{}/o/{}", bucket, key, json_out=True)
    return {**found, "size": int(found["size"])}


def _ask_s3(store: AbstractFileSystem, bucket: str, key: str) -> Info:
    head = store.call_s3("head_object", Bucket=bucket, Key=key, **store.req_kw)
    return {**head, "size": head["ContentLength"]}


def _ask_gcs_page(
    store: AbstractFileSystem, bucket: str, prefix: str, delimiter: str, token: str
) -> _Page:
    asked = {"prefix": prefix, "delimiter": delimiter, "pageToken": token, "fields": _GCS_FIELDS}
    given = {name: value for name, value in asked.items() if value}
    page = store.call("GET", "b/{}/o", bucket, json_out=True, **given)
    entries: list[Info] = [{"name": each} for each in page.get("prefixes", ())]
    entries += [{**each, "size": int(each["size"])} for each in page.get("items", ())]
    return entries, page.get("nextPageToken", "")


def _ask_s3_page(
    store: AbstractFileSystem, bucket: str, prefix: str, delimiter: str, token: str
) -> _Page:
    asked = {"Prefix": prefix, "Delimiter": delimiter, "ContinuationToken": token}
    given = {name: value for name, value in asked.items() if value}
    page = store.call_s3("list_objects_v2", Bucket=bucket, **given, **store.req_kw)
    entries: list[Info] = [{"name": each["Prefix"]} for each in page.get("CommonPrefixes", ())]
    for each in page.get("Contents", ()):
        entries.append({**each, "name": each["Key"], "size": each["Size"]})
    return entries, page["NextContinuationToken"] if page.get("IsTruncated") else ""


def _ask_own(store: AbstractFileSystem, bucket: str, key: str) -> Info:
    found: Info = store.ask_object(bucket, key)
    return found


def _ask_own_page(
    store: AbstractFileSystem, bucket: str, prefix: str, delimiter: str, token: str
) -> _Page:
    page: _Page = store.ask_page(bucket, prefix, delimiter, token)
    return page


class _Questions(NamedTuple):
    """How a kind of store is asked for one object, and for one page from a token on."""

    ask_object: Callable[[AbstractFileSystem, str, str], Info]
    ask_page: Callable[[AbstractFileSystem, str, str, str, str], _Page]


_S3, _GCS = _Questions(_ask_s3, _ask_s3_page), _Questions(_ask_gcs, _ask_gcs_page)
_OWN = _Questions(_ask_own, _ask_own_page)


def _find_questions(store: AbstractFileSystem) -> _Questions | None:
    """None for a store without pages."""
    if has_protocol(store, "s3"):
        return _S3
    if has_protocol(store, "gs"):
        return _GCS
    return _OWN if hasattr(store, "ask_page") else None
