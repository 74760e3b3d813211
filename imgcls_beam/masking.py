"""Secrets in URLs, which are never shown: passwords before the host, and what signs a query.

A signed URL is a key to its object. Rows, records, logs and reports get it without its key, and
since signatures are made anew each day, that is the object's name as well.
"""

import hashlib
import logging
import re

_SIGNING = (
    r"x-(?:amz|goog)-[a-z0-9-]+|sig|signature|awsaccesskeyid|googleaccessid|key-pair-id|policy"
    r"|hmac|hdnea|hdnts|__token__|(?:[a-z]+[_-])*secret|password|passwd|pwd"
)
_KEYS = r"(?:[a-z]+[_-])*(?:token|key)|apikey|auth|authorization|credentials?|jwt|code"
"""They may be secret, or tell one object from another: 16 hex digits of their SHA-256 are left."""

_TIMES = r"expires?|exp|se|st|ske|skt|verify"
"""Of a signature: they are nobody's secret, and differ from one signature to the next."""

_VALUE = r"(?!…)[^&;#\s\"'<>]+"
_SIGNED = re.compile(rf"((?:[?&;#]|%3f|%26)(?:{_SIGNING})(?:=|%3d)){_VALUE}", re.IGNORECASE)
_KEYED = re.compile(rf"((?:[?&;#]|%3f|%26)(?:{_KEYS})(?:=|%3d))({_VALUE})", re.IGNORECASE)
_TIME = re.compile(rf"([?&;](?:{_TIMES})=){_VALUE}", re.IGNORECASE)
_IN_AUTHORITY = r"[^/\\\s\"'<>?#]*"
_USER = re.compile(
    rf"(https?:[/\\]{{2,}}){_IN_AUTHORITY}@"
    rf"|([a-z][a-z0-9+.-]*:[/\\]{{2,}}[^/\\\s\"'<>?#:%]*(?::|%3a)){_IN_AUTHORITY}@",
    re.IGNORECASE,
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[/\\]{2,}[^\s\"'<>]+")
_WEB = re.compile(r"https?:", re.IGNORECASE)
_MARK = "…"


def mask_secrets(text: str) -> str:
    """A text in which no URL has its password or its signature any more."""
    return _URL.sub(lambda match: _mask_query(mask_user(match[0])), text)


def mask_uri(uri: str) -> str:
    """The URI of an object without its password, and of a web address without its signature.

    It is always the same for one object. Elsewhere a `?` is a letter of the name.
    """
    if ":" not in uri:
        return uri
    uri = mask_user(uri)
    return _mask_query(uri) if _WEB.match(uri) else uri


def mask_user(url: str) -> str:
    """A URL without who asks: whoever it is in a web address, elsewhere one with a password.

    A user alone is how FTP and SFTP say whose files are meant, and Azure's container stands there.
    """
    return _USER.sub(lambda match: f"{match[1] or match[2]}{_MARK}@", url)


def has_secret_user(url: str) -> bool:
    """Whether a URL holds what `mask_user` leaves out."""
    return _USER.match(url) is not None


def _mask_query(url: str) -> str:
    masked = _SIGNED.sub(rf"\1{_MARK}", url)
    url = masked if masked == url else _TIME.sub(rf"\1{_MARK}", masked)
    return _KEYED.sub(lambda match: f"{match[1]}{_MARK}{_digest(match[2])}", url)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class MaskingFormatter(logging.Formatter):
    """Log lines and tracebacks without the secrets of URLs."""

    def format(self, record: logging.LogRecord) -> str:
        """As any formatter, and then masked."""
        return mask_secrets(super().format(record))
