"""Tar archives → an `ImageRef` for each image in them, as WebDataset shards are read.

Headers are read in the archive's order, and no image: a ref says where in the archive it lies.
Nothing is unpacked, so a member's name is text and no path. A hard link is its target's bytes under
another name. Symbolic links are not followed: they name an image that the archive holds under its
own name, or one that lies outside.
"""

import dataclasses
import io
import pickle
import posixpath
import re
import sqlite3
import tarfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

from imgcls_beam.elements import ByteSpan, Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode, ImageError
from imgcls_beam.listing.folders import open_file
from imgcls_beam.listing.on_disk import Distinct, uri_digest
from imgcls_beam.listing.outages import refuse_outage
from imgcls_beam.listing.sifting import is_hidden
from imgcls_beam.passed_over import PassedOver, Reason
from imgcls_beam.suffixes import IMAGE_SUFFIXES

_MAX_HEADER_BYTES = 1 << 20
"""Of all that belongs to one member: tarfile reads as many bytes as a header says."""
MAX_PIECES = 1024
"""Of a sparse member: they travel with its ref. What an image program writes has a few."""

# What tarfile raises at a header that is cut off, hostile, or none.
_HEADER_ERRORS = (tarfile.TarError, ValueError, LookupError, OverflowError, RecursionError)

_GNU_NOTES = (b"D", b"V")
"""Types of what is no file in archives of GNU: the list of a folder's files, and a label."""
_GNU_TIMES = re.compile(rb"(?:[0-7 \0]{12}|[\x80\xff].{11}){2}", re.DOTALL)
"""When a file was read and changed: digits, or a number of 11 bytes."""

_NO_ARCHIVE = "this is no tar archive, or a compressed one; unpack it, or pack it again as .tar"
_NOT_READ = "the archive may not be read, or not to its end; what lies in it is not listed"
_DAMAGED = "the archive is damaged or cut off here; what lies behind it is not listed"
_SPARSE = f"a sparse member of more than {MAX_PIECES:,} pieces; pack it again without --sparse"
_NO_TARGET = "a hard link to a name that the archive does not hold before it"
_COLONS = "the archive's own path holds ::, which stands between archive and member; rename it"


def list_archive(
    archive: ImageRef, passed_over: PassedOver | None = None
) -> Iterator[ImageRef | Failure]:
    """Lists the members that have an image's suffix.

    A tar archive may hold a name twice, and both are images: the second one's URI ends in `::` and
    the offset of its first byte.

    Args:
        archive: a `.tar`, as it was listed.
        passed_over: where the other members are counted.

    Yields:
        Refs, and failures for what cannot be listed. Where the archive is damaged or cut off, the
        failure's URI ends in `::` and the byte at which reading stopped. An archive without an end
        mark counts as cut off. Where its store does not give it, the failure has its own name.

    Raises:
        StoreError: its store does not answer.
    """
    if "::" in archive.uri:
        yield _to_failure(archive, _COLONS)
        return
    try:
        with open_file("input", archive.uri) as file, _Members(archive) as members:
            yield from _list_members(members, _HeaderReader(file), passed_over)
    except ConfigError as error:
        if error.__cause__ is not None:
            refuse_outage(archive.uri, error.__cause__)
        yield _to_failure(archive, _NOT_READ, cause=error, code=FailureCode.UNLISTABLE)


def _list_members(
    members: "_Members", file: "_HeaderReader", passed_over: PassedOver | None
) -> Iterator[ImageRef | Failure]:
    for member in members.read(file):
        if isinstance(member, Failure):
            yield member
        elif (reason := _find_reason(member)) is None:
            yield members.to_listed(member)
        elif passed_over is not None and not (member.isdir() or member.type in _GNU_NOTES):
            passed_over.add(reason, member.name)


def _find_reason(member: tarfile.TarInfo) -> Reason | None:
    """Why a member is passed over; None where it is an image."""
    if is_hidden(member.name):
        return Reason.HIDDEN
    if not member.name.lower().endswith(IMAGE_SUFFIXES):
        return Reason.SUFFIX
    if member.issym():
        return Reason.LINK
    return None if member.isreg() or member.islnk() else Reason.SPECIAL


class _Header(tarfile.TarInfo):
    """A member's header, of which tar of GNU uses those bytes for times that are a prefix else.

    Incremental archives have them. Python takes them for a folder, and then finds no hard link's
    target. Others have written a prefix there with the mark of GNU.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        """Parses one block."""
        header = super().frombuf(buf, encoding, errors)
        if buf[257:265] == tarfile.GNU_MAGIC and _GNU_TIMES.fullmatch(buf[345:369]):
            name = bytes(buf[:100]).partition(tarfile.NUL)[0].decode(encoding, errors)
            header.name = name.rstrip("/") if header.isdir() else name
        return header


class _Members(Distinct):
    """The members of one archive: their names, and where the bytes of each name lie, on disk."""

    def __init__(self, archive: ImageRef) -> None:
        super().__init__()
        self._archive = archive
        # Of no name: a file of its own that goes with the connection.
        self._places = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.callback(self._places.close)
        self._places.execute("CREATE TABLE places (name BLOB PRIMARY KEY, span BLOB) WITHOUT ROWID")
        self._places.execute("BEGIN")

    def read(self, file: "_HeaderReader") -> Iterator[tarfile.TarInfo | Failure]:
        """Reads the headers up to the end, or to where the archive is damaged."""
        offset = 0
        try:
            with tarfile.open(
                fileobj=file, mode="r:", errors="surrogateescape", tarinfo=_Header
            ) as headers:
                while (member := headers.next()) is not None:
                    file.read_bytes = 0
                    headers.members.clear()  # type: ignore[attr-defined]  # it would keep them all
                    if headers.offset <= offset or _is_cut_off(self._archive, member):
                        raise tarfile.ReadError(_DAMAGED)
                    offset = headers.offset
                    self._note(member)
                    yield member
                offset = headers.offset
            file.seek(offset)  # at any block that is no header tarfile ends without a word
            if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise tarfile.ReadError(_DAMAGED)
        except _HEADER_ERRORS as error:
            message = _DAMAGED if offset else _NO_ARCHIVE
            yield _to_failure(self._archive, message, f"::{offset}", error)

    def to_listed(self, member: tarfile.TarInfo) -> ImageRef | Failure:
        """The image that a member is."""
        found = self._find(member.name)
        if found is None:
            message = _NO_TARGET if member.islnk() else _SPARSE
            return _to_failure(self._archive, message, f"::{member.name}")
        span, size_bytes = found
        uri = f"{self._archive.uri}::{member.name}"
        if not self.add(uri_digest(uri)):
            uri += f"::{span.start}"
        return dataclasses.replace(self._archive, uri=uri, size_bytes=size_bytes, locator=span)

    def _note(self, member: tarfile.TarInfo) -> None:
        """Notes where a member's bytes lie, under its name; of a hard link where its target's do.

        The last member of a name is the one that a link means, as it is when they are unpacked.
        """
        if member.isreg():
            span = _find_span(member)
            found = None if span is None else (span, member.size)
        elif member.islnk():
            found = self._find(member.linkname)
        else:
            return
        places = (_to_key(member.name), pickle.dumps(found))
        self._places.execute("INSERT OR REPLACE INTO places VALUES (?, ?)", places)

    def _find(self, name: str) -> tuple[ByteSpan, int] | None:
        asked = self._places.execute("SELECT span FROM places WHERE name = ?", (_to_key(name),))
        found = asked.fetchone()
        place: tuple[ByteSpan, int] | None = pickle.loads(found[0]) if found else None
        return place


def _to_key(name: str) -> bytes:
    return uri_digest(posixpath.normpath(name))


def _find_span(member: tarfile.TarInfo) -> ByteSpan | None:
    """Where a file's bytes lie; None for a sparse one of too many pieces."""
    start, pieces = member.offset_data, _pieces_of(member)
    if pieces is None:
        return ByteSpan(start, start + member.size)
    if len(pieces) > MAX_PIECES:
        return None
    return ByteSpan(start, start + sum(length for _, length in pieces), tuple(pieces))


def _pieces_of(member: tarfile.TarInfo) -> Sequence[tuple[int, int]] | None:
    """Offset and length of what is stored of a sparse member; None for any other member."""
    found: Any = member.sparse  # a list, whatever typeshed says
    return None if found is None else [(offset, length) for offset, length in found if length]


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
    """Whether the archive ends before the member does; or its pieces contradict each other."""
    stored_bytes = member.size if member.isreg() else 0
    pieces = _pieces_of(member) if member.isreg() else None
    if pieces is not None:
        end = stored_bytes = 0
        for offset, length in pieces:
            if length < 0 or offset < end:
                return True
            end, stored_bytes = offset + length, stored_bytes + length
        if end > member.size:
            return True
    stop = member.offset_data + stored_bytes
    return member.size < 0 or (archive.size_bytes is not None and stop > archive.size_bytes)


class _HeaderReader(io.RawIOBase):
    """An archive of which no more is read for one member than its headers need.

    A hostile header gives a size of gigabytes, or one below zero, which means to read everything; a
    sparse one a map of pieces without end.

    Attributes:
        read_bytes: how much was read since this was last set to 0.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES - self.read_bytes:
            raise tarfile.ReadError("a header of this size is none")
        self.read_bytes += size
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
