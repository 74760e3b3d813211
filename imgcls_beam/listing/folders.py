"""Files, folders, prefixes and globs → an `ImageRef` for each file.

A file or a glob takes what it names; a folder takes the files below it that have a suffix of the
kind that is looked for. What is passed over is counted. The order is always the same, so `--limit`
takes the same images each time. `{000..003}` and `{a,b}` stand for several names, as in a shell.

Buckets of S3 and GCS are listed a page at a time, in the order of the keys: of millions of keys
1,000 are in memory. Elsewhere the order is that of the names, folder by folder; see `walking`.
"""

import contextlib
import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.utils import glob_translate

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode, ImageError
from imgcls_beam.listing.braces import expand_braces
from imgcls_beam.listing.outages import refuse_outage
from imgcls_beam.listing.sifting import Sieve
from imgcls_beam.listing.walking import UNLISTABLE, walk, walk_matching
from imgcls_beam.passed_over import PassedOver, Reason
from imgcls_beam.stores import (
    FaultKind,
    Info,
    StoreKey,
    facts_of,
    find_info,
    has_pages,
    is_local,
    kind_of,
    list_below,
    open_store,
    refuse_store_faults,
)
from imgcls_beam.suffixes import IMAGE_SUFFIXES

ARCHIVE_SUFFIX = ".tar"
PACKED_SUFFIXES = (
    *(".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip", ".7z", ".rar"),
)
_MAY_NOT = "the folder may not be listed; check its permissions"
_CANNOT = "the folder cannot be listed, so what lies in it is not known"
_MAGIC = re.compile(r"[*?\[]")


def list_input(
    url: str,
    passed_over: PassedOver | None = None,
    own_output: Sequence[str] = (),
    *,
    allow_empty: bool = False,
) -> Iterator[ImageRef | Failure]:
    """Lists the image files and the tar archives of one input; no archive is opened.

    With `allow_empty` a folder of a bucket may have no objects, and so not be there.

    Yields:
        Refs; and a failure for each folder below the input that cannot be listed.

    Raises:
        ConfigError: it is not there or may not be read, or is an archive of another kind. One that
            a glob matches beside others is passed over, as below a folder.
    """
    passed_over = PassedOver() if passed_over is None else passed_over
    _refuse_packed(url)
    wanted = (*IMAGE_SUFFIXES, ARCHIVE_SUFFIX)
    may_be_empty = allow_empty and not url.lower().endswith((*wanted, *PACKED_SUFFIXES))
    for ref in _list_places("input", url, wanted, passed_over, own_output, may_be_empty):
        if isinstance(ref, ImageRef) and ref.uri.lower().endswith(PACKED_SUFFIXES):
            passed_over.add(Reason.SUFFIX, ref.uri)
        else:
            yield ref


def _refuse_packed(url: str) -> None:
    """Refuses an input that names packed archives: each name of its braces, before any is listed.

    Raises:
        ConfigError: it is such a file, or a glob for nothing else; or it is not there.
    """
    if not any(suffix in url.lower() for suffix in PACKED_SUFFIXES):
        return
    for each in _expand("input", url):
        if not each.lower().endswith(PACKED_SUFFIXES):
            continue
        with refuse_store_faults("input", each):
            store, path = open_store("input", each)
            if _is_pattern("input", store, path) or find_info(store, path)["type"] != "directory":
                problem = "images are read in a plain .tar only; unpack, or pack again as .tar"
                raise ConfigError("input", each, problem)


def list_files(
    option: str,
    url: str,
    suffixes: tuple[str, ...],
    passed_over: PassedOver | None = None,
    own_output: Sequence[str] = (),
) -> Iterator[ImageRef]:
    """Lists files: the one that is named, those that a glob matches, or those of a folder.

    Args:
        option: the option to name in an error.
        url: a path, or a URL whose scheme has been checked.
        suffixes: in small letters; what a folder is searched for.
        passed_over: where what a folder or glob does not take is counted.
        own_output: URLs of the job's own files, and of folders of them, which end in a slash: no
            folder or glob takes them.

    Raises:
        ConfigError: it is not there or may not be read.
    """
    for place in _list_places(option, url, suffixes, passed_over, own_output):
        if isinstance(place, Failure):  # a part of a table would be missing
            raise ConfigError(option, place.ref.uri, place.message)
        yield place


def _list_places(
    option: str,
    url: str,
    suffixes: tuple[str, ...],
    passed_over: PassedOver | None,
    own_output: Sequence[str],
    may_be_empty: bool = False,
) -> Iterator[ImageRef | Failure]:
    """`list_files`, and a failure for each folder below that cannot be listed.

    Where it may be empty, a folder of a bucket may have no objects.
    """
    passed_over = PassedOver() if passed_over is None else passed_over
    for each in _expand(option, url):
        with refuse_store_faults(option, each):
            store, path = open_store(option, each)
            key = StoreKey.of(each)
            sieve = Sieve(suffixes, passed_over, tuple(_find_own(key, own_output)))
            for info in _find(option, store, path, sieve, may_be_empty):
                uri = key.uri_of(info["name"])
                if info["type"] == UNLISTABLE:
                    refuse_outage(uri, info["fault"])
                    yield _to_failure(uri, info["fault"])
                else:
                    yield ImageRef(uri, **facts_of(info))


def _to_failure(uri: str, fault: Exception) -> Failure:
    kind = kind_of(fault)
    message = _MAY_NOT if kind is FaultKind.DENIED else _CANNOT
    is_passing = kind is FaultKind.UNREACHABLE
    error = ImageError(FailureCode.UNLISTABLE, message, retryable=is_passing)
    return Failure.from_error(ImageRef(uri), error)


def _expand(option: str, url: str) -> Iterator[str]:
    """The URLs that braces stand for; one that is there by this very name stands for itself."""
    expanded = expand_braces(url)
    first = next(expanded)
    if first == url:
        yield url
        return
    store, path = open_store(option, first)
    bucket = path.partition("/")[0]
    if not has_pages(store) or f"//{bucket}/" in url:  # braces in a bucket's name are none of it
        store, path = open_store(option, url)
        with refuse_store_faults(option, url):
            if store.exists(path):
                yield url
                return
    yield first
    yield from expanded


def _find_own(key: StoreKey, own_output: Sequence[str]) -> Iterator[str]:
    """Paths of the job's own output, where it goes to this store."""
    for url in own_output:
        with contextlib.suppress(ImportError, ValueError):  # the sink says it in its own words
            if StoreKey.of(url) == key:
                path = key.path_of(url)
                yield f"{path}/" if url.endswith("/") else path


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
    option: str, store: AbstractFileSystem, path: str, sieve: Sieve, may_be_empty: bool
) -> Iterator[Info]:
    if _is_pattern(option, store, path):
        every = dataclasses.replace(sieve, suffixes=())
        root = _MAGIC.split(path, maxsplit=1)[0].rpartition("/")[0]
        yield from every.sift(_find_matches(option, store, path), root)
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
        found = walk(store, path)
    yield from sieve.sift(found, path)


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
        found = _walk_pattern(store, folder, pattern.removeprefix(folder).split("/"))
    elif "**" in pattern:
        found = list_below(store, literal, is_deep=True)
    else:
        found = _descend(store, "", pattern.split("/"))
    return (info for info in found if info["type"] == UNLISTABLE or matches(info["name"]))


def _walk_pattern(
    store: AbstractFileSystem, folder: str, segments: Sequence[str]
) -> Iterator[Info]:
    """What lies below a folder, as deep as a pattern goes from there on."""
    folder = folder.rstrip("/") or store.root_marker
    is_endless = any("**" in segment for segment in segments)
    if not is_endless or not is_local(store):
        return walk(store, folder, math.inf if is_endless else len(segments) - 1)
    named = itertools.takewhile(lambda segment: "**" not in segment, segments)
    return walk_matching(folder, [re.compile(glob_translate(segment)) for segment in named])


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
