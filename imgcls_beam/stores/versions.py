"""What a store says of an object's content: its version, its time and its checksum."""

import base64
import binascii
import datetime
import email.utils
import hashlib
import re
from collections.abc import Mapping
from typing import Any

_VERSION_KEYS = ("generation", "ETag", "etag", "VersionId", "content_hash")
_UPDATED_KEYS = (
    *("mtime", "LastModified", "last_modified", "Last-Modified", "modificationTime", "modify"),
    *("updated", "timeCreated", "created"),
)
_MILLISECONDS = "modificationTime"  # of WebHDFS
_MD5_DIGITS = re.compile(r"[0-9a-f]{32}")
_NO_MD5_CLASSES = frozenset({"EXPRESS_ONEZONE"})
"""Storage classes of S3 whose etags are no digests (directory buckets)."""


def version_of(info: Mapping[str, Any]) -> str | None:
    """The version of an object's content: the store's generation or etag, else the time (UTC).

    None where there is neither. An etag comes before S3's version id, which listings do not have:
    a listing and a look-up must give the same version.
    """
    version = next((str(info[key]).strip('"') for key in _VERSION_KEYS if info.get(key)), None)
    if version is None and (updated_at := updated_at_of(info)) is not None:
        version = updated_at.isoformat(timespec="microseconds")
    return version


def updated_at_of(info: Mapping[str, Any]) -> datetime.datetime | None:
    """When an object was written, as its store says (UTC)."""
    key = next((key for key in _UPDATED_KEYS if info.get(key) is not None), None)
    if key is None:
        return None
    found = info[key]
    return _to_time(found / 1e3 if key == _MILLISECONDS else found)


def facts_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """What an `ImageRef` keeps of what a store says of an object, by the names of its fields."""
    return {
        "version": version_of(info),
        "size_bytes": size_of(info),
        "updated_at": updated_at_of(info),
        "checksum": checksum_of(info),
    }


def has_version(info: Mapping[str, Any], version: str | None) -> bool:
    """Whether an object is still the one that was listed, as far as the store's version tells."""
    return version is None or version_of(info) == version


def checksum_of(info: Mapping[str, Any]) -> str | None:
    """The store's checksum of an object's bytes; None where there is none, or none to trust.

    GCS has an MD5, of composed objects a CRC-32C only; Azure an MD5 where the writer left one; S3's
    etag is an MD5 where it is 32 hex digits, but not in directory buckets, and not where KMS or a
    customer's key encrypts, which a listing does not say. What GCS keeps as gzip has checksums of
    the gzip, and clients unpack it.

    Returns:
        `md5:` and 32 hex digits, or `crc32c:` and base64 as GCS writes it.
    """
    if info.get("contentEncoding") == "gzip":
        return None
    settings = info.get("content_settings")  # adlfs gives the SDK's ContentSettings
    md5 = _to_hex(info.get("md5Hash") or getattr(settings, "content_md5", None))
    if md5 is not None:
        return f"md5:{md5}"
    if info.get("crc32c"):
        return f"crc32c:{info['crc32c']}"
    etag = str(info.get("ETag") or "").strip('"')
    if _MD5_DIGITS.fullmatch(etag) and info.get("StorageClass") not in _NO_MD5_CLASSES:
        return f"md5:{etag}"
    return None


def is_content(data: bytes, checksum: str) -> bool | None:
    """Whether bytes have a checksum; None where nothing that is installed can tell."""
    kind, _, expected = checksum.partition(":")
    if kind == "md5":
        return hashlib.md5(data, usedforsecurity=False).hexdigest() == expected
    try:
        import google_crc32c  # gcsfs brings it
    except ImportError:
        return None
    digest: int = google_crc32c.value(data)
    return base64.b64encode(digest.to_bytes(4, "big")).decode() == expected


def has_secret_etag(info: Mapping[str, Any]) -> bool:
    """Whether S3 encrypts it, so its etag is no MD5; listings do not say, `find_info` does."""
    encryption = str(info.get("ServerSideEncryption") or "")
    return encryption.startswith("aws:kms") or bool(info.get("SSECustomerAlgorithm"))


def size_of(info: Mapping[str, Any]) -> int | None:
    """How many bytes reading an object gives; None where the store does not say.

    What GCS keeps as gzip is unpacked on the way: its size is not that of what is read.
    """
    size_bytes: int | None = info.get("size")
    return None if info.get("contentEncoding") == "gzip" else size_bytes


def _to_hex(md5: object) -> str | None:
    """An MD5 that is given as 16 bytes or as their base64."""
    try:
        data = base64.b64decode(md5, validate=True) if isinstance(md5, str) else md5
    except binascii.Error:
        return None
    return bytes(data).hex() if isinstance(data, bytes | bytearray) and len(data) == 16 else None


def _parse_time(text: str) -> datetime.datetime:
    """A time of ISO 8601, of HTTP (RFC 9110: `Thu, 26 Nov 2026 02:43:04 GMT`), or of FTP's MLSD.

    Raises:
        ValueError: it is none of these.
    """
    if "," in text:
        return email.utils.parsedate_to_datetime(text)
    if re.match(r"\d{14}(?!\d)", text):  # RFC 3659: UTC
        return datetime.datetime.strptime(text[:14], "%Y%m%d%H%M%S")
    return datetime.datetime.fromisoformat(text)


def _to_time(value: object) -> datetime.datetime | None:
    """A store's time; None for what is no time, or out of the calendar (year 33658)."""
    try:
        if isinstance(value, int | float):
            return datetime.datetime.fromtimestamp(value, datetime.UTC)
        if isinstance(value, str):
            value = _parse_time(value)
    except (ValueError, OverflowError, OSError):
        return None
    if not isinstance(value, datetime.datetime):
        return None
    return value.astimezone(datetime.UTC) if value.tzinfo else value.replace(tzinfo=datetime.UTC)
