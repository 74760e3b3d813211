"""Files, folders, prefixes and globs → an `ImageRef` for each file.

A file or a glob takes what it names; a folder takes the files below it that have a suffix of the
kind that is looked for. The order is always the same, so `--limit` takes the same images each time.

Buckets of S3 and GCS are listed a page at a time, in the order of the keys: of millions of keys
1,000 are in memory. Elsewhere a folder's names are in memory at once, and the order is that of the
names, folder by folder. Links to folders are not followed: they may lead back.
"""

import contextlib
import math
import os
import re
import stat
from collections.abc import Iterator
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.utils import glob_translate

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.stores import (
    Info,
    StoreKey,
    facts_of,
    find_info,
    has_pages,
    is_local,
    list_below,
    open_store,
)

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"),
)
ARCHIVE_SUFFIX = ".tar"
_MAGIC = re.compile(r"[*?\[]")

_PACKED_SUFFIXES = (
    *(".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip", ".7z", ".rar"),
)


def list_input(url: str, *, allow_empty: bool = False) -> Iterator[ImageRef]:
    """Lists the image files and the tar archives of one input; no archive is opened.

    With `allow_empty` a folder of a bucket may have no objects, and so not be there.

    Raises:
        ConfigError: it is not there or may not be read, or is an archive of another kind.
    """
    suffixes = (*IMAGE_SUFFIXES, ARCHIVE_SUFFIX)
    may_be_empty = allow_empty and not url.lower().endswith((*suffixes, *_PACKED_SUFFIXES))
    for ref in list_files("input", url, suffixes, may_be_empty=may_be_empty):
        if ref.uri.lower().endswith(_PACKED_SUFFIXES):
            problem = "images are read in a plain .tar only; unpack it, or pack it again as .tar"
            raise ConfigError("input", ref.uri, problem)
        yield ref


def list_files(
    option: str, url: str, suffixes: tuple[str, ...], *, may_be_empty: bool = False
) -> Iterator[ImageRef]:
    """Lists files: the one that is named, those that a glob matches, or those of a folder.

    Args:
        option: the option to name in an error.
        url: a path, or a URL whose scheme has been checked.
        suffixes: in small letters; what a folder is searched for.
        may_be_empty: whether a folder of a bucket may have no objects.

    Raises:
        ConfigError: it is not there or may not be read.
    """
    store, path = open_store(option, url)
    key = StoreKey.of(url)
    with _refuse_faults(option, url):
        for info in _find(option, store, path, suffixes, may_be_empty):
            yield ImageRef(key.uri_of(info["name"]), **facts_of(info))


@contextlib.contextmanager
def open_file(option: str, url: str, mode: str = "rb", **how: str) -> Iterator[Any]:
    """Opens a file, with fsspec's keywords; faults of its store name this option.

    Raises:
        ConfigError: the store cannot give what is asked for.
    """
    store, path = open_store(option, url)
    with _refuse_faults(option, url), store.open(path, mode, **how) as file:
        yield file


@contextlib.contextmanager
def _refuse_faults(option: str, url: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(option, url, "there is no such file or folder") from error
    except PermissionError as error:
        raise ConfigError(option, url, "it may not be read; check its permissions") from error
    except OSError as error:  # a name too long, links that lead round, a store that is not there
        raise ConfigError(option, url, "it cannot be listed or read") from error


def _find(
    option: str,
    store: AbstractFileSystem,
    path: str,
    suffixes: tuple[str, ...],
    may_be_empty: bool = False,
) -> Iterator[Info]:
    if _is_pattern(option, store, path):
        yield from _find_matches(option, store, path)
        return
    if not has_pages(store) or "/" in path.rstrip("/"):  # a bucket is a folder: it is not asked for
        info = _find_first(store, path, may_be_empty)
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
    yield from (info for info in found if info["name"].lower().endswith(suffixes))


def _find_first(store: AbstractFileSystem, path: str, may_be_empty: bool) -> Info:
    """What a path names; a folder of a bucket that has no objects is none to the store."""
    try:
        return find_info(store, path)
    except FileNotFoundError:
        if not (may_be_empty and has_pages(store)):
            raise
        return {"name": path, "type": "directory"}


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
    return (info for info in found if matches(info["name"]))


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
    """Files below a folder, and below its own folders down to a depth; 0 for none of them."""
    for info in _list_disk(folder) if is_local(store) else _list_store(store, folder):
        if info["type"] == "file":
            yield info
        elif depth > 0:
            yield from _walk(store, info["name"], depth - 1)


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
