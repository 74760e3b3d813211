"""Tar archives → an `ImageRef` for each image in them, as WebDataset shards are read.

Headers are read in the archive's order, and no image: a ref says where in the archive it lies.
Nothing is unpacked, so a member's name is text and no path. Links are not followed: they name an
image that the archive holds under its own name, or one that lies outside.
"""

import dataclasses
import io
import tarfile
from collections.abc import Iterator
from typing import IO

from imgcls_beam.elements import ByteSpan, Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode, ImageError
from imgcls_beam.listing.folders import IMAGE_SUFFIXES, open_file
from imgcls_beam.listing.on_disk import Distinct, uri_digest

_MAX_HEADER_BYTES = 1 << 20
"""Of one long name or extended header: tarfile reads as many bytes as the header says."""

# What tarfile raises at a header that is cut off, hostile, or none.
_HEADER_ERRORS = (tarfile.TarError, ValueError, LookupError, OverflowError, RecursionError)

_NO_ARCHIVE = "this is no tar archive, or a compressed one; unpack it, or pack it again as .tar"
_DAMAGED = "the archive is damaged or cut off here; what lies behind it is not listed"
_NOT_READ = "the archive may not be read, or not to its end; what lies in it is not listed"
_SPARSE = "a sparse member's bytes do not lie together; pack it again without --sparse"
_COLONS = "the archive's own path holds ::, which stands between archive and member; rename it"


def list_archive(archive: ImageRef) -> Iterator[ImageRef | Failure]:
    """Lists the members that have an image's suffix.

    A tar archive may hold a name twice, and both are images: the second one's URI ends in `::` and
    the offset of its first byte.

    Args:
        archive: a `.tar`, as it was listed.

    Yields:
        Refs, and failures for what cannot be listed. Where the archive is damaged or cut off, the
        failure's URI ends in `::` and the byte at which reading stopped. An archive without an end
        mark counts as cut off. Where its store does not give it, the failure has its own name.
    """
    if "::" in archive.uri:
        yield _to_failure(archive, _COLONS)
        return
    try:
        with open_file("input", archive.uri) as file, Distinct() as names:
            yield from _list_members(archive, _HeaderReader(file), names)
    except ConfigError as error:
        yield _to_failure(archive, _NOT_READ, cause=error, code=FailureCode.UNLISTABLE)


def _list_members(
    archive: ImageRef, file: "_HeaderReader", names: Distinct
) -> Iterator[ImageRef | Failure]:
    offset = 0
    try:
        with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as headers:
            while (member := headers.next()) is not None:
                headers.members.clear()  # type: ignore[attr-defined]  # it would keep them all
                if headers.offset <= offset or _is_cut_off(archive, member):
                    raise tarfile.ReadError(_DAMAGED)
                offset = headers.offset
                if member.isreg() and member.name.lower().endswith(IMAGE_SUFFIXES):
                    yield _to_listed(archive, member, names)
            offset = headers.offset
        file.seek(offset)  # at any block that is no header tarfile ends without a word
        if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError(_DAMAGED)
    except _HEADER_ERRORS as error:
        yield _to_failure(archive, _DAMAGED if offset else _NO_ARCHIVE, f"::{offset}", error)


def _to_listed(archive: ImageRef, member: tarfile.TarInfo, names: Distinct) -> ImageRef | Failure:
    if member.issparse():
        return _to_failure(archive, _SPARSE, f"::{member.name}")
    span = ByteSpan(member.offset_data, member.offset_data + member.size)
    uri = f"{archive.uri}::{member.name}"
    if not names.add(uri_digest(uri)):
        uri += f"::{span.start}"
    return dataclasses.replace(archive, uri=uri, size_bytes=member.size, locator=span)


def _to_failure(
    archive: ImageRef,
    message: str,
    inside: str = "",
    cause: Exception | None = None,
    code: FailureCode = FailureCode.INVALID_REFERENCE,
) -> Failure:
    error = ImageError(code, message)
    error.__cause__ = cause
    ref = dataclasses.replace(archive, uri=archive.uri + inside, size_bytes=None)
    return Failure.from_error(ref, error)


def _is_cut_off(archive: ImageRef, member: tarfile.TarInfo) -> bool:
    """Whether the archive ends before the member does, as far as its size is known."""
    has_data = member.isreg() and not member.issparse()  # whose size is that of the unpacked file
    end = member.offset_data + (member.size if has_data else 0)
    return member.size < 0 or (archive.size_bytes is not None and end > archive.size_bytes)


class _HeaderReader(io.RawIOBase):
    """An archive of which no more is read at once than a header needs.

    A hostile header gives a size of gigabytes, or one below zero, which means to read everything.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header of this size is none")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)
