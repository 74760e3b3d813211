"""The one way to open a file system: fsspec, without its chaining.

`fsspec.url_to_fs` follows `simplecache::https://…`, which would walk around the allow-list of
schemes. Here a URL has one scheme, and the rest of it is a path.
"""

import datetime
import functools
from collections.abc import Mapping
from typing import Any

import fsspec

from imgcls_beam.checks import scheme_of
from imgcls_beam.errors import ConfigError

_EXTRA_OF = {"gs": "gcp", "gcs": "gcp", "s3": "s3", "s3a": "s3"}
_VERSION_KEYS = ("generation", "VersionId", "ETag", "etag", "content_hash")
_UPDATED_KEYS = ("mtime", "LastModified", "last_modified", "updated", "timeCreated", "created")


def open_store(option: str, url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Opens the file system of a URL.

    Listings are never cached: a program that lists twice wants to see what changed.

    Args:
        option: the option to name in an error.
        url: a path, or a URL whose scheme has been checked.

    Returns:
        The fsspec file system, and the path in its own spelling (local paths absolute).

    Raises:
        ConfigError: nothing that is installed reads this scheme.
    """
    scheme = scheme_of(url)
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        extra = _EXTRA_OF.get(scheme)
        advice = f"pip install 'imgcls_beam[{extra}]'" if extra else "install its fsspec package"
        raise ConfigError(option, url, f"nothing installed reads {scheme}://; {advice}") from error
    url = _lower_scheme(url, scheme)
    options = kind._get_kwargs_from_urls(url)
    store = fsspec.filesystem(scheme, use_listings_cache=False, **options)
    return store, kind._strip_protocol(url)


def spell_uri(uri: str) -> str:
    """A URI as a listing of its store spells it, so that one object has one URI.

    No file system is opened. Where nothing that is installed reads the scheme it stays as it is.
    """
    scheme = scheme_of(uri)
    kind = _find_kind(scheme)
    if kind is None:
        return uri
    path: str = kind._strip_protocol(_lower_scheme(uri, scheme))
    names = (kind.protocol,) if isinstance(kind.protocol, str) else tuple(kind.protocol)
    if path.startswith(tuple(f"{name}://" for name in names)):
        return path
    return f"{names[0]}://{path}"


def marks_of(info: Mapping[str, Any]) -> tuple[str | None, datetime.datetime | None]:
    """What a store says of an object's content: its version, and when it was written (UTC).

    The version is the store's own mark, generation, version id or etag; else the time; None where
    there is neither.
    """
    times = (info[key] for key in _UPDATED_KEYS if info.get(key) is not None)
    updated_at = _to_time(next(times, None))
    version = next((str(info[key]).strip('"') for key in _VERSION_KEYS if info.get(key)), None)
    if version is None and updated_at is not None:
        version = updated_at.isoformat(timespec="microseconds")
    return version, updated_at


@functools.lru_cache(maxsize=64)
def _find_kind(scheme: str) -> type[fsspec.AbstractFileSystem] | None:
    try:
        kind: type[fsspec.AbstractFileSystem] = fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError):
        return None
    return kind


def _lower_scheme(url: str, scheme: str) -> str:
    """The URL with its scheme in small letters: fsspec takes FILE:// for the start of a path."""
    return scheme + url[len(scheme) :] if url.lower().startswith(f"{scheme}://") else url


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
