"""The stores of the objects that are read: each is opened once for all of its objects."""

from collections.abc import Iterator, Sequence

from fsspec import AbstractFileSystem

from imgcls_beam.checks import is_scheme_allowed
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import to_image_error
from imgcls_beam.stores import StoreKey, split_url

_SCHEME_REFUSED = "the scheme of its URI is not allowed (--allow_scheme)"
_NOT_INSTALLED = "nothing that is installed reads the scheme of its URI"
_NO_STORE = "its URI names no store that can be opened; check its host and the credentials"

_Group = tuple[list[int], AbstractFileSystem | ImageError, list[str]]


def open_stores(refs: Sequence[ImageRef], options: ReadOptions) -> Iterator[_Group]:
    """Opens the stores of some objects.

    Yields:
        For each store the positions of its refs; its file system, or why it cannot be read; and the
        paths of its objects there, in the order of the positions.
    """
    groups: dict[StoreKey | ImageError, list[int]] = {}
    found: dict[tuple[str, str], StoreKey | ImageError] = {}
    for index, ref in enumerate(refs):
        name = split_url(ref.object_uri)[:2]
        if name not in found:
            found[name] = _find_store(ref.object_uri, options)
        groups.setdefault(found[name], []).append(index)
    for key, indices in groups.items():
        store = key if isinstance(key, ImageError) else _open(key)
        if isinstance(key, ImageError) or isinstance(store, ImageError):
            yield indices, store, []
        else:
            yield indices, store, [key.path_of(refs[index].object_uri) for index in indices]


def _find_store(uri: str, options: ReadOptions) -> StoreKey | ImageError:
    if not is_scheme_allowed(split_url(uri)[0], options.allow_schemes):
        return ImageError(FailureCode.UNREADABLE, _SCHEME_REFUSED)
    try:
        return StoreKey.of(uri)
    except ImportError:
        return ImageError(FailureCode.UNREADABLE, _NOT_INSTALLED)
    except ValueError:
        return ImageError(FailureCode.UNREADABLE, _NO_STORE)


def _open(key: StoreKey) -> AbstractFileSystem | ImageError:
    try:
        return key.open()
    except ValueError:
        return ImageError(FailureCode.UNREADABLE, _NO_STORE)
    except OSError as error:
        return to_image_error(error)
