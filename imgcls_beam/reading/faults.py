"""What a store raises → the image's own error, which becomes its row."""

import functools
from collections.abc import Callable, Iterator

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.store_health import STORE_HEALTH
from imgcls_beam.stores import REFUSED_HOST, FaultKind, is_fault, iterate_waits, kind_of

EXPIRED_CREDENTIALS = (
    "the store takes these credentials no more: they have expired, or were withdrawn"
)
"""The message of an object that was asked for with them."""

_LISTED_NO_MORE = "the object was listed but is not there any more"
_OF_KIND = {
    FaultKind.MALFORMED: (
        FailureCode.INVALID_REFERENCE,
        "its URI is no name of an object: its store cannot have such a host, bucket or key",
    ),
    FaultKind.NO_OBJECT: (FailureCode.NOT_FOUND, "there is no such object"),
    FaultKind.NO_BUCKET: (FailureCode.NOT_FOUND, "there is no such bucket"),
    FaultKind.ARCHIVED: (
        FailureCode.ARCHIVED,
        "the object is archived; restore it in its store, and then try again",
    ),
    FaultKind.DENIED: (
        FailureCode.PERMISSION_DENIED,
        "the store does not let these credentials read the object",
    ),
    FaultKind.WRONG_SETTINGS: (
        FailureCode.PERMISSION_DENIED,
        "the credentials for the store cannot be used; their profile or a part of them is missing",
    ),
    FaultKind.NO_CREDENTIALS: (
        FailureCode.UNAVAILABLE,
        "no credentials for the store were found, or what gives them did not answer",
    ),
    FaultKind.EXPIRED: (FailureCode.UNAVAILABLE, EXPIRED_CREDENTIALS),
    FaultKind.NOT_PUBLIC: (FailureCode.UNREADABLE, REFUSED_HOST),
    FaultKind.UNREACHABLE: (FailureCode.UNAVAILABLE, "the store did not deliver the object"),
    FaultKind.OUT_OF_RANGE: (FailureCode.UNREADABLE, "the object is shorter than it was"),
    FaultKind.OTHER: (FailureCode.UNREADABLE, "the store refused to read the object"),
}

Sleep = Callable[[float], object]
"""Waits so many seconds."""


def count_tries(options: ReadOptions, sleep: Sleep, uri: str) -> Iterator[int]:
    """Tries of an object from 1, for as long as there are to be more.

    It waits before each other one, briefly while the store of this URI answers others at once.
    """
    yield 1
    is_prompt = functools.partial(STORE_HEALTH.is_prompt, uri)
    waits = iterate_waits(options.tries, options.first_wait_s, options.retry_s, is_prompt)
    for tries, wait_s in enumerate(waits, start=2):
        sleep(wait_s)
        yield tries


def too_many_bytes(max_bytes: int) -> ImageError:
    """The error for an image above the limit."""
    message = f"larger than the limit of {max_bytes} bytes (--max_image_bytes)"
    return ImageError(FailureCode.TOO_MANY_BYTES, message)


def changed_object() -> ImageError:
    """The error for an object that is not the one that was listed."""
    message = "the object has changed since it was listed"
    return ImageError(FailureCode.CHANGED, message, retryable=True)


def no_file() -> ImageError:
    """The error for a pipe, a device or a folder: opening waits for ever, or reading never ends."""
    return ImageError(FailureCode.UNREADABLE, "it is no file: a pipe, a device or a folder")


def to_image_error(error: BaseException, *, was_listed: bool = False) -> ImageError:
    """The image's error for whatever a store's client raised about it.

    Args:
        error: what was raised.
        was_listed: whether the store itself has named the object before.

    Raises:
        BaseException: the error itself, where it is of this process, and no answer of a store.
    """
    if isinstance(error, ImageError):
        return error
    if not is_fault(error):
        raise error
    kind = kind_of(error)
    code, message = _OF_KIND[kind]
    if kind is FaultKind.NO_OBJECT and was_listed:
        message = _LISTED_NO_MORE
    return ImageError(code, message, retryable=code is FailureCode.UNAVAILABLE)
