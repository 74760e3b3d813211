"""Files, folders, prefixes and globs → an `ImageRef` for each file.

A file or a glob takes what it names; a folder takes the files below it that have a suffix of the
kind that is looked for. The order is that of the names, folder by folder, so `--limit` takes the
same images each time. Links to folders are not followed: they may lead back.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.utils import glob_translate

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.stores import marks_of, open_store

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"),
)
ARCHIVE_SUFFIX = ".tar"

_MAGIC = re.compile(r"[*?\[]")
_PACKED_SUFFIXES = (
    *(".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip", ".7z", ".rar"),
)

Info = dict[str, Any]


def list_input(url: str) -> Iterator[ImageRef]:
    """Lists the image files and the tar archives of one input; no archive is opened.

    Raises:
        ConfigError: it is not there or may not be read, or is an archive of another kind.
    """
    for ref in list_files("input", url, (*IMAGE_SUFFIXES, ARCHIVE_SUFFIX)):
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
    store, path = open_store(option, url)
    with refuse_faults(option, url):
        for info in _find(option, store, path, suffixes):
            yield _to_ref(store, info)


@contextlib.contextmanager
def refuse_faults(option: str, url: str) -> Iterator[None]:
    """Turns what a store refuses into a `ConfigError` of this option.

    Raises:
        ConfigError: the store cannot give what is asked for.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(option, url, "there is no such file or folder") from error
    except PermissionError as error:
        raise ConfigError(option, url, "it may not be read; check its permissions") from error
    except OSError as error:  # a name too long, links that lead round, a store that is not there
        raise ConfigError(option, url, "it cannot be listed or read") from error


def _find(
    option: str, store: AbstractFileSystem, path: str, suffixes: tuple[str, ...]
) -> Iterator[Info]:
    if _MAGIC.search(path) and not store.exists(path):
        yield from _find_glob(option, store, path)
        return
    info = store.info(path)
    if info["type"] == "other":  # opening a pipe waits for ever, reading a device never ends
        raise ConfigError(option, path, "it is neither a file nor a folder")
    if info["type"] != "directory":
        yield info
        return
    for found in _walk(store, info["name"]):
        if found["name"].lower().endswith(suffixes):
            yield found


def _find_glob(option: str, store: AbstractFileSystem, pattern: str) -> Iterator[Info]:
    fixed, _, _ = pattern.partition(_first_magic_segment(pattern))
    root = fixed.rstrip("/") or store.root_marker
    depth = None if "**" in pattern else pattern.count("/") - fixed.count("/")
    try:
        matches = re.compile(glob_translate(pattern)).match
    except ValueError as error:
        problem = "** stands for whole folder names, as in FOLDER/**/*.jpg"
        raise ConfigError(option, pattern, problem) from error
    for info in _walk(store, root, depth):
        if matches(info["name"]):
            yield info


def _first_magic_segment(pattern: str) -> str:
    return next(segment for segment in pattern.split("/") if _MAGIC.search(segment))


def _walk(store: AbstractFileSystem, folder: str, depth: int | None = None) -> Iterator[Info]:
    """Files below a folder by name; with a depth, not deeper than so many further folders."""
    for info in sorted(store.ls(folder, detail=True), key=lambda found: str(found["name"])):
        if info["type"] == "other" and info.get("islink"):
            yield from _follow_to_file(store, info["name"])
        elif info["type"] == "file":
            yield info
        elif _is_folder_below(info, folder) and depth != 0:
            yield from _walk(store, info["name"], None if depth is None else depth - 1)


def _follow_to_file(store: AbstractFileSystem, path: str) -> Iterator[Info]:
    """What a link leads to, where that is a file: a local listing does not look."""
    try:
        info = store.info(path)
    except OSError:  # it leads nowhere, or round
        return
    if info["type"] == "file":
        yield info


def _is_folder_below(info: Info, folder: str) -> bool:
    """Some stores list a folder among its own content, as an object of no bytes."""
    is_itself = str(info["name"]).rstrip("/") == folder.rstrip("/")
    return info["type"] == "directory" and not info.get("islink") and not is_itself


def _to_ref(store: AbstractFileSystem, info: Info) -> ImageRef:
    version, updated_at = marks_of(info)
    return ImageRef(
        uri=store.unstrip_protocol(info["name"]),
        version=version,
        size_bytes=info.get("size"),
        updated_at=updated_at,
    )
