"""Listing a bucket of S3 or GCS a page at a time.

fsspec's `find` and `ls` of both stores give back a whole listing at once; their public `call_s3`
and `call` ask for one page. A page has 1,000 keys at most, in the order of the keys' UTF-8.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fsspec import AbstractFileSystem

from imgcls_beam.stores.opening import has_protocol

Info = Mapping[str, Any]
"""What a store says of an object, as fsspec has it: `name`, `type`, `size` and more."""

_GCS_FIELDS = (
    "nextPageToken,prefixes,"
    "items(name,size,generation,updated,md5Hash,crc32c,contentEncoding,storageClass)"
)


def has_pages(store: AbstractFileSystem) -> bool:
    """Whether `list_below` knows this kind of store."""
    return has_protocol(store, "s3") or has_protocol(store, "gs")


def list_below(store: AbstractFileSystem, start: str, *, is_deep: bool) -> Iterator[Info]:
    """Lists what has names that start so, in the order of the names; one page is in memory.

    Args:
        store: one that `has_pages`.
        start: the bucket, a slash, and how the keys start; a folder's slash is part of it.
        is_deep: whether to give all keys; else what lies behind the next slash is one folder.

    Yields:
        For an object what the store says of it, `name` (with its bucket), `type` `file`, and `size`
        in bytes; for a folder `name`, without its slash, and `type` `directory`. No placeholders of
        folders: objects whose names end in a slash.
    """
    bucket, _, prefix = start.partition("/")
    list_pages = _list_s3_pages if has_protocol(store, "s3") else _list_gcs_pages
    for page in list_pages(store, bucket, prefix, {} if is_deep else {"delimiter": "/"}):
        for entry in sorted(page, key=lambda info: str(info["name"]).encode()):
            if not entry["name"].endswith("/"):
                yield dict(entry) | {"name": f"{bucket}/{entry['name']}", "type": "file"}
            elif "size" not in entry:
                yield {"name": f"{bucket}/{entry['name'][:-1]}", "type": "directory"}


def _list_s3_pages(
    store: AbstractFileSystem, bucket: str, prefix: str, more: Mapping[str, str]
) -> Iterator[list[Info]]:
    asked = {"Bucket": bucket, "Prefix": prefix, **store.req_kw}
    asked |= {name.capitalize(): value for name, value in more.items()}
    while True:
        page = store.call_s3("list_objects_v2", **asked)
        entries: list[Info] = [{"name": each["Prefix"]} for each in page.get("CommonPrefixes", ())]
        for each in page.get("Contents", ()):
            entries.append(each | {"name": each["Key"], "size": each["Size"]})
        yield entries
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def _list_gcs_pages(
    store: AbstractFileSystem, bucket: str, prefix: str, more: Mapping[str, str]
) -> Iterator[list[Info]]:
    asked = {"prefix": prefix, "fields": _GCS_FIELDS, **more}
    while True:
        page = store.call("GET", "b/{}/o", bucket, json_out=True, **asked)
        entries: list[Info] = [{"name": each} for each in page.get("prefixes", ())]
        for each in page.get("items", ()):
            entries.append(each | {"size": int(each["size"])})
        yield entries
        if not page.get("nextPageToken"):
            return
        asked["pageToken"] = page["nextPageToken"]
