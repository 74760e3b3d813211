"""What a store's client raises → one of a few kinds of fault.

Each store has a client of its own, and each client exceptions of its own, most of them of packages
that need not be installed. So they are known by the names of their classes, by the HTTP status and
by S3's error code, and what is not known is a fault too: of the object that was asked for.
"""

import enum
import errno
import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import TypeVar

from imgcls_beam.stores.archived import is_archived
from imgcls_beam.stores.public_hosts import PrivateHostError

_AnswerT = TypeVar("_AnswerT")

_CHAIN = 5
"""How many causes are looked at: s3fs keeps what botocore raised, gcsfs what its transport did."""


class FaultKind(enum.Enum):
    """What a client's exception says."""

    MALFORMED = enum.auto()
    """The name is one that the store cannot have."""
    NO_OBJECT = enum.auto()
    """There is no such object, or, where the store does not tell the two apart, no such bucket."""
    NO_BUCKET = enum.auto()
    ARCHIVED = enum.auto()
    """It is there, and may be read only once it was restored."""
    DENIED = enum.auto()
    """The store knows who asks, or that nobody does, and refuses."""
    NO_CREDENTIALS = enum.auto()
    """None were found; or the service that gives them to a machine was busy."""
    EXPIRED = enum.auto()
    """Whoever asks is not known any more: the credentials have run out, or were withdrawn."""
    WRONG_SETTINGS = enum.auto()
    """A profile that is not there, credentials of which a part is missing."""
    NOT_PUBLIC = enum.auto()
    """A web address of this network, or of this machine's own services."""
    OUT_OF_RANGE = enum.auto()
    """It ends before what was asked for begins: where that is all of it, it has no bytes."""
    UNREACHABLE = enum.auto()
    """No answer, or one that says to come back later: it may pass."""
    OTHER = enum.auto()


PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Of HTTP: it says to come back later."""
_PASSING_CODES = frozenset(
    {"RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"}
)
"""S3's words for a body that stalled or was damaged on its way, with the status 400."""
_PASSING_ERRNO = frozenset(
    {
        *(errno.EAGAIN, errno.EINTR, errno.EIO, errno.EBUSY, errno.ETIMEDOUT, errno.ESTALE),
        *(errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EPIPE),
        *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EMFILE, errno.ENFILE),
        getattr(errno, "EREMOTEIO", errno.EIO),  # s3fs means S3's InternalError by it
    }
)
_PASSING_NAME = re.compile(
    r"Time_?d?_?out|Connect|Disconnect|Unavailable|Throttl|TooManyRequests|SlowDown|Transport"
    r"|Temporar|Busy|Network|HTTPClientError|PayloadError|ChunkedEncoding|IncompleteRead"
    r"|StreamingError|ResponseParserError|ChecksumError|ServiceRe(quest|sponse)Error|ServerError|RefreshError"
    r"|Retrieval|RetryError|LocalEntryNotFound|error_temp"
)
"""In the name of a class: a connection, a busy server, a busy service of credentials. A file that
the hub's cache lacks is one that could not be fetched."""
_MALFORMED_NAME = re.compile(
    r"ParamValidation|InvalidDNSName|InvalidHostLabel|UnsupportedS3|UnsupportedOutpost"
    r"|NonHttpUrl|InvalidU(RL|rl)|MissingSchema|InvalidSchema|URLRequired|UnsupportedProtocol"
    r"|EndpointResolutionError|HFValidation|HfUri"
)
_NO_CREDENTIALS_NAME = re.compile(
    "NoCredentials|NoAuthToken|DefaultCredentialsError|CredentialUnavailable"
)
_WRONG_SETTINGS_NAME = re.compile(
    r"ProfileNotFound|PartialCredentials|ConfigParse|ConfigNotFound|Invalid\w*Config|NoRegion"
    r"|InvalidRegion|InvalidIMDS|InvalidS3|InvalidProxies|InvalidRetry|InvalidDefaultsMode"
    r"|Unknown(Credential|Endpoint|Region|Signature|TokenProvider)|SSO|Login|MissingDependency"
    r"|NonRetryable"
)
_EXPIRED_CODES = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"),
        *("InvalidAccessKeyId", "RequestTimeTooSkewed", "RequestExpired"),
        *("AuthenticationFailed", "InvalidAuthenticationInfo"),  # Azure's
    }
)
"""What is said of who asks, whatever the object: some with the status 400, some with 403."""
_EXPIRED_WORDS = re.compile("invalid credentials", re.IGNORECASE)
"""Of a 401 of Google or Hugging Face; without a token the words are others."""
_GARBLED_NAME = re.compile("HttpProcessingError")
"""What aiohttp's parser raises: it gives 400, or 0, for the status of an answer that is no HTTP."""
_MALFORMED_CODES = frozenset(
    {"InvalidBucketName", "InvalidURI", "KeyTooLongError", "InvalidResourceName", "InvalidUri"}
)


def is_fault(error: BaseException) -> bool:
    """Whether it is a fault of what was asked for, and not the end of the process or its memory."""
    return isinstance(error, Exception) and not isinstance(error, MemoryError)


def ask(question: Callable[[], _AnswerT]) -> _AnswerT | Exception:
    """Asks a store about one object; what its client raises is its answer.

    Raises:
        MemoryError: there is none left.
    """
    try:
        return question()
    except Exception as error:  # clients have exceptions of their own, and share no base
        if not is_fault(error):
            raise
        return error


def kind_of(error: BaseException) -> FaultKind:
    """The kind of fault that an exception of a client means; of one that says nothing, its cause's.

    Any exception is a fault: a client may raise what it likes.
    """
    if is_archived(error):
        return FaultKind.ARCHIVED
    kinds = (_find_kind(each) for each in _iterate_causes(error))
    return next((kind for kind in kinds if kind is not FaultKind.OTHER), FaultKind.OTHER)


def code_of(error: BaseException) -> str:
    """The store's word for what is wrong, as `NoSuchBucket`; empty where there is none."""
    for each in _iterate_causes(error):
        response = getattr(each, "response", None)
        if isinstance(response, dict) and (code := response.get("Error", {}).get("Code")):
            return str(code)
        if code := getattr(each, "error_code", None):
            return str(getattr(code, "value", code))  # Azure's are an enumeration
    return ""


def _iterate_causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(_CHAIN):
        if found is None:
            return
        yield found
        found = found.__cause__


def _find_kind(error: BaseException) -> FaultKind:
    if isinstance(error, PrivateHostError):
        return FaultKind.NOT_PUBLIC
    status, code = http_status(error), code_of(error)
    is_garbled = _has_name(error, _GARBLED_NAME) or _has_name(error.__cause__, _GARBLED_NAME)
    if is_garbled or (status == 401 and _has_no_token(error)):
        return FaultKind.UNREACHABLE
    for kind, pattern in (
        (FaultKind.WRONG_SETTINGS, _WRONG_SETTINGS_NAME),
        (FaultKind.NO_CREDENTIALS, _NO_CREDENTIALS_NAME),
    ):
        if _has_name(error, pattern):
            return kind
    if code in _EXPIRED_CODES or (status == 401 and _EXPIRED_WORDS.search(str(error))):
        return FaultKind.EXPIRED
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return FaultKind.NO_BUCKET
    if _is_malformed(error, status, code):
        return FaultKind.MALFORMED
    if status == 416:
        return FaultKind.OUT_OF_RANGE
    if status in (404, 410) or _is_missing(error):
        return FaultKind.NO_OBJECT
    if isinstance(error, PermissionError) or status in (401, 403) or _is_gcs_refusal(error):
        return FaultKind.DENIED
    is_passing = code in _PASSING_CODES or _is_passing(error, status)
    return FaultKind.UNREACHABLE if is_passing else FaultKind.OTHER


def _has_no_token(error: BaseException) -> bool:
    """Whether gcsfs says 401 itself, because who gives tokens did not answer, or will later."""
    refused = error.__cause__
    if refused is None or type(refused).__name__ != "RefreshError":
        return False
    is_unreached = refused.__cause__ is not None and _has_name(refused.__cause__, _PASSING_NAME)
    return is_unreached or bool(getattr(refused, "retryable", False))


def _has_name(error: BaseException | None, pattern: re.Pattern[str]) -> bool:
    """Whether one of its classes, which are not those of Python itself, is named so."""
    return any(
        pattern.search(kind.__name__)
        for kind in type(error).__mro__
        if kind.__module__ != "builtins"
    )


def _is_malformed(error: BaseException, status: int | None, code: str) -> bool:
    if code in _MALFORMED_CODES or _has_name(error, _MALFORMED_NAME):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENAMETOOLONG
    # What a garbled answer makes of a parser is no fault of the name.
    is_of_answer = isinstance(error, json.JSONDecodeError | UnicodeDecodeError)
    is_of_status = status is not None or http_status(error.__cause__) is not None
    return isinstance(error, ValueError) and not is_of_answer and not is_of_status


def _is_missing(error: BaseException) -> bool:
    is_kind = isinstance(error, FileNotFoundError | NotADirectoryError)
    return is_kind and not _has_name(error, _PASSING_NAME)


def _is_passing(error: BaseException, status: int | None) -> bool:
    if status in PASSING_STATUS:
        return True
    if isinstance(error, TimeoutError | ConnectionError | EOFError | socket.gaierror):
        return True
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):  # an answer that is garbled
        return True
    if isinstance(error, OSError) and error.errno in _PASSING_ERRNO:
        return True
    return status is None and _has_name(error, _PASSING_NAME)


def _is_gcs_refusal(error: BaseException) -> bool:
    """Whether it is a 403 of gcsfs, which only the words of an OSError show."""
    return type(error) is OSError and error.errno is None and str(error).startswith("Forbidden:")


def http_status(error: object) -> int | None:
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
