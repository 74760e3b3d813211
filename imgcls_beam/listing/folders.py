"""Files, folders, prefixes and globs → an `ImageRef` for each file.

A file or a glob takes what it names; a folder takes the files below it that have a suffix of the
kind that is looked for. The order is always the same, so `--limit` takes the same images each time.

Buckets of S3 and GCS are listed a page at a time, in the order of the keys: of millions of keys
1,000 are in memory. Elsewhere a folder's names are in memory at once, and the order is that of the
names, folder by folder. Links to folders are not followed: they may lead back.
"""

import contextlib
import functools
import math
import os
import re
import stat
from collections.abc import Iterator
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.utils import glob_translate

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode, ImageError
from imgcls_beam.stores import (
    FaultKind,
    Info,
    StoreKey,
    ask,
    facts_of,
    find_info,
    has_pages,
    is_local,
    kind_of,
    list_below,
    open_store,
    refuse_store_faults,
)

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"),
)
ARCHIVE_SUFFIX = ".tar"
_UNLISTABLE = "unlistable"
"""The type of a folder that cannot be listed; what says why is its `fault`."""
_MAY_NOT = "the folder may not be listed; check its permissions"
_CANNOT = "the folder cannot be listed, so what lies in it is not known"
_MAGIC = re.compile(r"[*?\[]")

_PACKED_SUFFIXES = (
    *(".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip", ".7z", ".rar"),
)


def list_input(url: str) -> Iterator[ImageRef | Failure]:
    """Lists the image files and the tar archives of one input; no archive is opened.

    Yields:
        Refs; and a failure for each folder below the input that cannot be listed.

    Raises:
        ConfigError: it is not there or may not be read, or is an archive of another kind.
    """
    for ref in _list_places("input", url, (*IMAGE_SUFFIXES, ARCHIVE_SUFFIX)):
        if isinstance(ref, Failure):
            yield ref
            continue
        if ref.uri.lower().endswith(_PACKED_SUFFIXES):
            problem = "images are read in a plain .tar only; unpack it, or pack it again as .tar"
            raise ConfigError("input", ref.uri, problem)
        yield ref


def list_files(option: str, url: str, suffixes: tuple[str, ...]) -> Iterator[ImageRef]:
    """Lists files: the one that is named, those that a glob matches, or those of a folder.

    Args:
        option: the option to name in an error.
        url: a path, or a URL whose scheme has been checked.
        suffixes: in small letters; what a folder is searched for.

    Raises:
        ConfigError: it is not there or may not be read.
    """
    for place in _list_places(option, url, suffixes):
        if isinstance(place, Failure):  # a part of a table would be missing
            raise ConfigError(option, place.ref.uri, place.message)
        yield place


def _list_places(option: str, url: str, suffixes: tuple[str, ...]) -> Iterator[ImageRef | Failure]:
    """`list_files`, and a failure for each folder below that cannot be listed."""
    with refuse_store_faults(option, url):
        store, path = open_store(option, url)
        key = StoreKey.of(url)
        for info in _find(option, store, path, suffixes):
            if info["type"] == _UNLISTABLE:
                yield _to_failure(key.uri_of(info["name"]), info["fault"])
            else:
                yield ImageRef(key.uri_of(info["name"]), **facts_of(info))


def _to_failure(uri: str, fault: Exception) -> Failure:
    kind = kind_of(fault)
    message = _MAY_NOT if kind is FaultKind.DENIED else _CANNOT
    is_passing = kind is FaultKind.UNREACHABLE
    error = ImageError(FailureCode.UNLISTABLE, message, retryable=is_passing)
    return Failure.from_error(ImageRef(uri), error)


@contextlib.contextmanager
def open_file(option: str, url: str, mode: str = "rb", **how: str) -> Iterator[Any]:
    """Opens a file, with fsspec's keywords; faults of its store name this option.

    Raises:
        ConfigError: the store cannot give what is asked for.
    """
    with refuse_store_faults(option, url):
        store, path = open_store(option, url)
        opened = store.open(path, mode, **how)
    with refuse_store_faults(option, url, is_parsing=True), opened as file:
        yield file


def _find(
    option: str, store: AbstractFileSystem, path: str, suffixes: tuple[str, ...]
) -> Iterator[Info]:
    if _is_pattern(option, store, path):
        yield from _find_matches(option, store, path)
        return
    if not has_pages(store) or "/" in path.rstrip("/"):  # a bucket is a folder: it is not asked for
        info = find_info(store, path)
        if info["type"] == "other":  # opening a pipe waits for ever, reading a device never ends
            raise ConfigError(option, path, "it is neither a file nor a folder")
        if info["type"] != "directory":
            yield info
            return
        path = info["name"]
    if has_pages(store):
        found = list_below(store, path.rstrip("/") + "/", is_deep=True)
    else:
        found = _walk(store, path)
    for info in found:
        if info["type"] == _UNLISTABLE or info["name"].lower().endswith(suffixes):
            yield info


def _is_pattern(option: str, store: AbstractFileSystem, path: str) -> bool:
    """Whether a path is a glob, and not the name of what is there: `a[1].jpg` may be one.

    Raises:
        ConfigError: it is a glob for buckets.
    """
    if not _MAGIC.search(path):
        return False
    if has_pages(store) and _MAGIC.search(path.partition("/")[0]):
        raise ConfigError(option, path, "a bucket is named in full; patterns begin behind it")
    return not store.exists(path)


def _find_matches(option: str, store: AbstractFileSystem, pattern: str) -> Iterator[Info]:
    """Files that a glob matches: `*`, `?` and `[…]` within a name, `**` for any folders.

    Only folders that the pattern can lead to are listed.

    Raises:
        ConfigError: it is no pattern.
    """
    try:
        matches = re.compile(glob_translate(pattern)).match
    except ValueError as error:
        problem = "** stands for whole folder names, as in FOLDER/**/*.jpg"
        raise ConfigError(option, pattern, problem) from error
    literal = _MAGIC.split(pattern, maxsplit=1)[0]
    if not has_pages(store):
        folder = literal[: literal.rfind("/") + 1]
        depth = math.inf if "**" in pattern else pattern.count("/") - folder.count("/")
        found = _walk(store, folder.rstrip("/") or store.root_marker, depth)
    elif "**" in pattern:
        found = list_below(store, literal, is_deep=True)
    else:
        found = _descend(store, "", pattern.split("/"))
    return (info for info in found if info["type"] == _UNLISTABLE or matches(info["name"]))


def _descend(store: AbstractFileSystem, folder: str, segments: list[str]) -> Iterator[Info]:
    """Files of a bucket that can match, in the order of their keys: one level at a time."""
    last = len(segments) - 1
    index = next((i for i, segment in enumerate(segments) if _MAGIC.search(segment)), last)
    folder = "/".join([*([folder] if folder else []), *segments[:index]])
    segment, deeper = segments[index], segments[index + 1 :]
    wanted = "directory" if deeper else "file"
    matches = re.compile(glob_translate(segment)).match
    start = f"{folder}/{_MAGIC.split(segment, maxsplit=1)[0]}"
    for info in list_below(store, start, is_deep=False):
        if info["type"] != wanted or not matches(info["name"].rpartition("/")[2]):
            continue
        if deeper:
            yield from _descend(store, info["name"], deeper)
        else:
            yield info


def _walk(store: AbstractFileSystem, folder: str, depth: float = math.inf) -> Iterator[Info]:
    """Files below a folder, and below its own folders down to a depth; 0 for none of them.

    One of its own folders that cannot be listed is given too, with the fault.
    """
    for info in _list_disk(folder) if is_local(store) else _list_store(store, folder):
        if info["type"] == "file":
            yield info
        elif depth > 0:
            below = _walk(store, info["name"], depth - 1)
            first = ask(functools.partial(next, below, None))  # here the folder is listed
            if isinstance(first, Exception):
                yield {"name": info["name"], "type": _UNLISTABLE, "fault": first}
            elif first is not None:
                yield first
                yield from below


def _list_disk(folder: str) -> Iterator[Info]:
    """Files and folders of a disk, not what else lies there; links are what they lead to."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield {"name": entry.path, "type": "directory"}
            continue
        try:
            seen = os.stat(entry.path)
        except OSError:  # it leads nowhere, or round, or was removed since
            continue
        if stat.S_ISREG(seen.st_mode):
            size_bytes, mtime = seen.st_size, seen.st_mtime
            yield {"name": entry.path, "type": "file", "size": size_bytes, "mtime": mtime}


def _list_store(store: AbstractFileSystem, folder: str) -> Iterator[Info]:
    for info in sorted(store.ls(folder, detail=True), key=lambda found: str(found["name"])):
        # Some stores list a folder among its own content, as an object of no bytes.
        is_itself = str(info["name"]).rstrip("/") == folder.rstrip("/")
        is_folder = info["type"] == "directory" and not info.get("islink") and not is_itself
        if info["type"] == "file" or is_folder:
            yield info
