"""Files, folders, prefixes and globs → `ImageRef`.

A file or a glob takes what it names; a folder takes the files below it whose suffix is one of
`IMAGE_SUFFIXES`. The order is that of the names, folder by folder, so `--limit` takes the same
images each time. Links to folders are not followed: they may lead back.
"""

import datetime
import hashlib
import re
from collections.abc import Iterator
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.utils import glob_translate

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.options import InputOptions
from imgcls_beam.stores import open_store

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"),
)

_MAGIC = re.compile(r"[*?\[]")
_VERSION_KEYS = ("generation", "VersionId", "ETag", "etag", "content_hash")
_UPDATED_KEYS = ("mtime", "LastModified", "last_modified", "updated", "timeCreated", "created")

Info = dict[str, Any]


def list_images(options: InputOptions) -> Iterator[ImageRef]:
    """Lists every image of every input, in the order of the inputs.

    An image that two inputs name comes twice, unless there is a limit: dropping duplicates
    without holding them all in memory is the pipeline's work.

    Raises:
        ConfigError: an input that is not there or may not be read.
    """
    refs = (ref for url in options.inputs for ref in _list_input(url))
    sampled = (ref for ref in refs if _is_sampled(ref.uri, options.sample_ratio))
    yield from sampled if options.limit is None else _take(sampled, options.limit)


def check_inputs(options: InputOptions) -> None:
    """Looks at each input until its first image.

    Raises:
        ConfigError: an input that is not there, may not be read, or holds no image.
    """
    for url in options.inputs:
        if next(_list_input(url), None) is None:
            problem = (
                "no images there; a folder is searched for files named "
                f"*{', *'.join(IMAGE_SUFFIXES)}; a pattern such as FOLDER/** takes every file"
            )
            raise ConfigError("input", url, problem)


def uri_digest(uri: str) -> bytes:
    """16 bytes that stand for a URI; it may hold what UTF-8 cannot (undecodable file names)."""
    return hashlib.blake2b(uri.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _take(refs: Iterator[ImageRef], limit: int) -> Iterator[ImageRef]:
    seen: set[bytes] = set()
    for ref in refs:
        digest = uri_digest(ref.uri)
        if digest not in seen:
            seen.add(digest)
            yield ref
        if len(seen) == limit:  # before the next one is listed
            return


def _is_sampled(uri: str, ratio: float) -> bool:
    return ratio >= 1.0 or int.from_bytes(uri_digest(uri)[:8]) < ratio * 2**64


def _list_input(url: str) -> Iterator[ImageRef]:
    store, path = open_store("input", url)
    try:
        for info in _find(store, path):
            yield _to_ref(store, info)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError("input", url, "there is no such file or folder") from error
    except PermissionError as error:
        raise ConfigError("input", url, "it may not be read; check its permissions") from error
    except OSError as error:  # a name too long, links that lead round, a store that is not there
        raise ConfigError("input", url, "it cannot be listed") from error


def _find(store: AbstractFileSystem, path: str) -> Iterator[Info]:
    if _MAGIC.search(path) and not store.exists(path):
        yield from _find_glob(store, path)
        return
    info = store.info(path)
    if info["type"] == "other":  # opening a pipe waits for ever, reading a device never ends
        raise ConfigError("input", path, "it is neither a file nor a folder")
    if info["type"] != "directory":
        _refuse_archive(path)
        yield info
        return
    for found in _walk(store, info["name"]):
        if found["name"].lower().endswith(IMAGE_SUFFIXES):
            yield found


def _find_glob(store: AbstractFileSystem, pattern: str) -> Iterator[Info]:
    fixed, _, _ = pattern.partition(_first_magic_segment(pattern))
    root = fixed.rstrip("/") or store.root_marker
    depth = None if "**" in pattern else pattern.count("/") - fixed.count("/")
    try:
        matches = re.compile(glob_translate(pattern)).match
    except ValueError as error:
        problem = "** stands for whole folder names, as in FOLDER/**/*.jpg"
        raise ConfigError("input", pattern, problem) from error
    for info in _walk(store, root, depth):
        if matches(info["name"]):
            _refuse_archive(info["name"])
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


def _refuse_archive(path: str) -> None:
    if path.lower().endswith((".tar", ".tar.gz", ".tgz", ".zip")):
        raise ConfigError("input", path, "archives are not read yet; give the unpacked images")


def _to_ref(store: AbstractFileSystem, info: Info) -> ImageRef:
    times = (info[key] for key in _UPDATED_KEYS if info.get(key) is not None)
    updated_at = _to_time(next(times, None))
    version = next((str(info[key]).strip('"') for key in _VERSION_KEYS if info.get(key)), None)
    if version is None and updated_at is not None:
        version = updated_at.isoformat(timespec="microseconds")
    return ImageRef(
        uri=store.unstrip_protocol(info["name"]),
        version=version,
        size_bytes=info.get("size"),
        updated_at=updated_at,
    )


def _to_time(value: object) -> datetime.datetime | None:
    """A store's time; None where it is none, or none that a calendar has (year 33658)."""
    try:
        if isinstance(value, int | float):
            return datetime.datetime.fromtimestamp(value, datetime.UTC)
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(value)
    except (ValueError, OverflowError, OSError):
        return None
    if not isinstance(value, datetime.datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
