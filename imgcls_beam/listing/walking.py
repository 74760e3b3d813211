"""Files below a folder, or those that a glob matches, in an order that is always the same.

Buckets of S3 and GCS are listed a page at a time, in the order of the keys: of millions of keys
1,000 are in memory. Elsewhere a folder's names are in memory at once, and the order is that of the
names, folder by folder. Links to folders are not followed: they may lead back.
"""

import os
import re
import stat
from collections.abc import Iterator

from fsspec import AbstractFileSystem
from fsspec.utils import glob_translate

from imgcls_beam.errors import ConfigError
from imgcls_beam.stores import Info, has_pages, is_local, list_below

_MAGIC = re.compile(r"[*?\[]")


def walk(store: AbstractFileSystem, folder: str, depth: int | None = None) -> Iterator[Info]:
    """Files below a folder; with a depth, not deeper than so many further folders.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if has_pages(store):
        yield from list_below(store, folder.rstrip("/") + "/", is_deep=True)
    elif is_local(store):
        yield from _walk_disk(folder, depth)
    else:
        yield from _walk_store(store, folder, depth)


def find_matches(option: str, store: AbstractFileSystem, pattern: str) -> Iterator[Info]:
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
    if not has_pages(store):
        found = _walk_fixed(store, pattern)
    elif "**" in pattern:
        found = list_below(store, pattern[: _find_magic(pattern)], is_deep=True)
    else:
        found = _descend(store, "", pattern.split("/"))
    return (info for info in found if matches(info["name"]))


def is_pattern(option: str, store: AbstractFileSystem, path: str) -> bool:
    """Whether a path is a glob, and not the name of what is there: `a[1].jpg` may be one.

    Raises:
        ConfigError: it is a glob for buckets.
    """
    if not _MAGIC.search(path):
        return False
    if has_pages(store) and _MAGIC.search(path.partition("/")[0]):
        raise ConfigError(option, path, "a bucket is named in full; patterns begin behind it")
    return not store.exists(path)


def _walk_fixed(store: AbstractFileSystem, pattern: str) -> Iterator[Info]:
    """Files below the last folder that a pattern names, as deep as it has slashes."""
    fixed = pattern[: pattern.rfind("/", 0, _find_magic(pattern)) + 1]
    depth = None if "**" in pattern else pattern.count("/") - fixed.count("/")
    return walk(store, fixed.rstrip("/") or store.root_marker, depth)


def _descend(store: AbstractFileSystem, folder: str, segments: list[str]) -> Iterator[Info]:
    """Files below a folder that can match, in the order of their keys: one level at a time."""
    fixed = next((i for i, segment in enumerate(segments) if _MAGIC.search(segment)), None)
    fixed = len(segments) - 1 if fixed is None else fixed
    folder = "/".join([*([folder] if folder else []), *segments[:fixed]])
    segment, deeper = segments[fixed], segments[fixed + 1 :]
    wanted = "directory" if deeper else "file"
    matches = re.compile(glob_translate(segment)).match
    start = f"{folder}/{segment[: _find_magic(segment)]}"
    for info in list_below(store, start, is_deep=False):
        if info["type"] != wanted or not matches(info["name"].rpartition("/")[2]):
            continue
        if deeper:
            yield from _descend(store, info["name"], deeper)
        else:
            yield info


def _find_magic(pattern: str) -> int:
    """Where the first character stands that is not meant literally; the length without one."""
    found = _MAGIC.search(pattern)
    return found.start() if found else len(pattern)


def _walk_disk(folder: str, depth: int | None) -> Iterator[Info]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if depth != 0:
                yield from _walk_disk(entry.path, None if depth is None else depth - 1)
        elif info := _look_at_file(entry):
            yield info


def _look_at_file(entry: "os.DirEntry[str]") -> Info | None:
    """A file, or the one that a link leads to; None for what else lies on disks."""
    try:
        seen = os.stat(entry.path)
    except OSError:  # it leads nowhere, or round, or was removed since
        return None
    if not stat.S_ISREG(seen.st_mode):
        return None
    return {"name": entry.path, "type": "file", "size": seen.st_size, "mtime": seen.st_mtime}


def _walk_store(store: AbstractFileSystem, folder: str, depth: int | None) -> Iterator[Info]:
    for info in sorted(store.ls(folder, detail=True), key=lambda found: str(found["name"])):
        if info["type"] == "file":
            yield info
        elif _is_folder_below(info, folder) and depth != 0:
            yield from _walk_store(store, info["name"], None if depth is None else depth - 1)


def _is_folder_below(info: Info, folder: str) -> bool:
    """Some stores list a folder among its own content, as an object of no bytes."""
    is_itself = str(info["name"]).rstrip("/") == folder.rstrip("/")
    return info["type"] == "directory" and not info.get("islink") and not is_itself
