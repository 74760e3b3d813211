"""What a store raises → the image's own error, or a defect that is not caught."""

import errno
import random
from collections.abc import Callable, Iterator

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.archived import is_archived

_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_PASSING_ERRNO = frozenset(
    {
        *(errno.EAGAIN, errno.EINTR, errno.EIO, errno.EBUSY, errno.ETIMEDOUT, errno.ESTALE),
        *(errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EPIPE),
        *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EMFILE, errno.ENFILE),
        getattr(errno, "EREMOTEIO", errno.EIO),  # s3fs means S3's InternalError by it
    }
)
_PASSING_KINDS = frozenset(
    {
        *("aiohttp.ClientConnectionError", "aiohttp.ClientPayloadError", "gcsfs.ChecksumError"),
        *("requests.ConnectionError", "requests.Timeout", "requests.ChunkedEncodingError"),
        *("httpx.TransportError", "httpx2.TransportError", "botocore.HTTPClientError"),
        *("azure.ServiceRequestError", "azure.ServiceResponseError"),
    }
)
"""Faults of a connection that are no `ConnectionError`, of packages that need not be installed."""
_REFUSALS = {
    FailureCode.NOT_FOUND: "the object was listed but is not there any more",
    FailureCode.ARCHIVED: "the object is archived; restore it in its store, and then try again",
    FailureCode.PERMISSION_DENIED: "the store does not let these credentials read the object",
    FailureCode.UNAVAILABLE: "the store did not deliver the object",
    FailureCode.UNREADABLE: "the store refused to read the object",
}


Sleep = Callable[[float], object]
"""Waits so many seconds."""


def count_tries(options: ReadOptions, sleep: Sleep) -> Iterator[int]:
    """Tries from 1; before each other one it waits, twice as long each time.

    Waits are jittered by half: workers that failed together do not return together.
    """
    for tries in range(1, options.tries + 1):
        if tries > 1:
            sleep(options.first_wait_s * 2.0 ** (tries - 2) * random.uniform(0.5, 1.5))
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


def to_image_error(error: BaseException) -> ImageError:
    """The image's error for a store's error.

    Raises:
        BaseException: the error itself, where stores are not known to raise it: a defect.
    """
    if isinstance(error, ImageError):
        return error
    code = _code_of(error)
    if code is None:
        raise error
    return ImageError(code, _REFUSALS[code], retryable=code is FailureCode.UNAVAILABLE)


def _code_of(error: BaseException) -> FailureCode | None:
    status = _http_status(error)
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return FailureCode.NOT_FOUND
    if is_archived(error):
        return FailureCode.ARCHIVED
    if isinstance(error, PermissionError) or status in (401, 403) or _is_gcs_refusal(error):
        return FailureCode.PERMISSION_DENIED
    if _is_passing(error, status):
        return FailureCode.UNAVAILABLE
    if isinstance(error, OSError) or status is not None:
        return FailureCode.UNREADABLE
    return None


def _is_passing(error: BaseException, status: int | None) -> bool:
    if status in _PASSING_STATUS or isinstance(error, TimeoutError | ConnectionError | EOFError):
        return True
    if isinstance(error, OSError) and error.errno in _PASSING_ERRNO:
        return True
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    return not kinds.isdisjoint(_PASSING_KINDS)


def _is_gcs_refusal(error: BaseException) -> bool:
    """Whether it is a 403 of gcsfs, which only the words of an OSError show."""
    return type(error) is OSError and error.errno is None and str(error).startswith("Forbidden:")


def _http_status(error: object) -> int | None:
    """The HTTP status, where gcsfs, aiohttp, azure, huggingface_hub and botocore keep it."""
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    for value in (
        getattr(error, "status", None),
        getattr(error, "code", None),
        getattr(error, "status_code", None),
        getattr(response, "status_code", None),
        metadata.get("HTTPStatusCode"),
    ):
        if isinstance(value, int | str) and str(value).isdigit():
            return int(value)
    return None
