"""Files, folders, prefixes and globs → an `ImageRef` for each file.

A file or a glob takes what it names; a folder takes the files below it that have a suffix of the
kind that is looked for. The order is always the same, so `--limit` takes the same images each time.
"""

import contextlib
from collections.abc import Iterator

from fsspec import AbstractFileSystem

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.walking import find_matches, is_pattern, walk
from imgcls_beam.stores import (
    Info,
    StoreKey,
    facts_of,
    find_info,
    has_pages,
    open_store,
)

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"),
)
ARCHIVE_SUFFIX = ".tar"

_PACKED_SUFFIXES = (
    *(".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip", ".7z", ".rar"),
)


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
    key = StoreKey.of(url)
    with refuse_faults(option, url):
        for info in _find(option, store, path, suffixes):
            yield ImageRef(key.uri_of(info["name"]), **facts_of(info))


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
    if is_pattern(option, store, path):
        yield from find_matches(option, store, path)
        return
    if not has_pages(store) or "/" in path.rstrip("/"):  # a bucket is a folder: it is not asked for
        info = find_info(store, path)
        if info["type"] == "other":  # opening a pipe waits for ever, reading a device never ends
            raise ConfigError(option, path, "it is neither a file nor a folder")
        if info["type"] != "directory":
            yield info
            return
        path = info["name"]
    for found in walk(store, path):
        if found["name"].lower().endswith(suffixes):
            yield found
