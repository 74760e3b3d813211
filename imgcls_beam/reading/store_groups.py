"""The stores of the objects that are read: each is opened once for all of its objects."""

from collections.abc import Iterator, Sequence

from fsspec import AbstractFileSystem

from imgcls_beam.checks import is_scheme_allowed
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.masking import has_secret_user
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import to_image_error
from imgcls_beam.reading.ranges import patience_of
from imgcls_beam.stores import (
    StoreKey,
    ask,
    is_bucket_name,
    split_url,
)

_SCHEME_REFUSED = "the scheme of its URI is not allowed (--allow_scheme)"
_HAS_PASSWORD = "its URI has a user or a password in it; set credentials by the environment"
_NOT_INSTALLED = "nothing that is installed reads the scheme of its URI"
_NO_OBJECT = "its URI names a store or a bucket, and no object in it"
_NO_NAME = (
    "its URI is no name of an object: a bucket has 3 to 63 small letters, digits, dots and "
    "hyphens, a key at most 1,024 bytes"
)
_NO_STORE = "its URI names no store that can be opened; check its host and the credentials"

_MAX_KEY_BYTES = 1024
"""Of S3 and GCS alike, as their pages on names have it."""
_BUCKETS = ("s3", "s3a", "gs", "gcs")
_Group = tuple[list[int], AbstractFileSystem | ImageError, list[str]]


def open_stores(refs: Sequence[ImageRef], options: ReadOptions) -> Iterator[_Group]:
    """Opens the stores of some objects.

    Yields:
        For each store the positions of its refs; its file system, or why it cannot be read; and the
        paths of its objects there, in the order of the positions.
    """
    groups: dict[StoreKey | ImageError, list[int]] = {}
    found: dict[tuple[str, str], StoreKey | ImageError] = {}
    places: dict[int, str] = {}
    for index, ref in enumerate(refs):
        name = split_url(ref.object_uri)[:2]
        if name not in found:
            found[name] = _find_store(ref.object_uri, options)
        key: StoreKey | ImageError = found[name]
        if isinstance(key, StoreKey):
            path = _find_path(key, ref.object_uri)
            if isinstance(path, ImageError):
                key = path
            else:
                places[index] = path
        groups.setdefault(key, []).append(index)
    for key, indices in groups.items():
        store = key if isinstance(key, ImageError) else _open(key, options)
        if isinstance(store, ImageError):
            yield indices, store, []
        else:
            yield indices, store, [places[index] for index in indices]


def _find_store(uri: str, options: ReadOptions) -> StoreKey | ImageError:
    if has_secret_user(uri):
        return ImageError(FailureCode.INVALID_REFERENCE, _HAS_PASSWORD)
    if not is_scheme_allowed(split_url(uri)[0], options.allow_schemes):
        return ImageError(FailureCode.UNREADABLE, _SCHEME_REFUSED)
    key = ask(lambda: StoreKey.of(uri))
    if isinstance(key, ImportError):
        return ImageError(FailureCode.UNREADABLE, _NOT_INSTALLED)
    return (
        ImageError(FailureCode.INVALID_REFERENCE, _NO_STORE) if isinstance(key, Exception) else key
    )


def _find_path(key: StoreKey, uri: str) -> str | ImageError:
    path = ask(lambda: key.path_of(uri))
    if isinstance(path, Exception):
        return to_image_error(path)
    problem = _find_problem(key, path)
    return path if problem is None else ImageError(FailureCode.INVALID_REFERENCE, problem)


def _find_problem(key: StoreKey, path: str) -> str | None:
    """Why a path names no object, as far as that is known without asking."""
    if key.scheme != "file" and not path.strip("/"):
        return _NO_OBJECT
    if key.scheme not in _BUCKETS:
        return None
    bucket, _, name = path.partition("/")
    if not name:
        return _NO_OBJECT
    is_long = len(name.encode("utf-8", "surrogatepass")) > _MAX_KEY_BYTES
    return None if is_bucket_name(bucket) and not is_long else _NO_NAME


def _open(key: StoreKey, options: ReadOptions) -> AbstractFileSystem | ImageError:
    store = ask(lambda: key.open(patience_of(options)))
    if isinstance(store, ValueError):  # no credentials, or those of another account
        return ImageError(FailureCode.UNREADABLE, _NO_STORE)
    return to_image_error(store) if isinstance(store, Exception) else store
