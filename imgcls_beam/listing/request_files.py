"""Files of requests → one `ImageRef` a line. No line is parsed here, and none is held in memory.

A request file is JSONL in UTF-8: each line is a request of the task (`spec.parse_request_line`).
A line is found by its byte offsets, so the file must not be compressed.
"""

import codecs
from collections.abc import Iterator, Sequence
from typing import IO

from imgcls_beam.elements import ImageRef, RequestLine
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.folders import list_files, open_file
from imgcls_beam.passed_over import PassedOver

_SUFFIXES = (".jsonl", ".ndjson")
_PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip", ".tgz", ".tar")
_PACKED_REQUESTS = tuple(plain + each for plain in _SUFFIXES for each in _PACKED_SUFFIXES)
"""A folder is searched for these too, and they are refused: else their requests would be lost."""
_CHUNK_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def list_requests(
    url: str, passed_over: PassedOver | None = None, own_output: Sequence[str] = ()
) -> Iterator[ImageRef]:
    """Lists every line that is not blank, file by file.

    Args:
        url: a file, a folder that is searched for `.jsonl` and `.ndjson`, or a glob.
        passed_over: where the folder's other files are counted.
        own_output: URLs whose files are the job's own responses.

    Yields:
        One ref a line: its URI ends in `::` and the line's number, from 1, blank lines counted.

    Raises:
        ConfigError: it is not there, may not be read, is compressed, or is UTF-16.
    """
    wanted = _SUFFIXES + _PACKED_REQUESTS
    for file in list_files("requests", url, wanted, passed_over, own_output):
        if file.uri.lower().endswith(_PACKED_SUFFIXES):
            problem = (
                "compressed request files are not read: a line is found by its bytes; unpack it"
            )
            raise ConfigError("requests", url, problem)
        if "::" in file.uri:
            raise ConfigError("requests", url, "a request file's name must not hold ::")
        yield from list_lines(file)


def list_lines(file: ImageRef) -> Iterator[ImageRef]:
    """Lists the lines of one file, see `list_requests`.

    Raises:
        ConfigError: it is not there, may not be read, or is UTF-16.
    """
    with open_file("requests", file.uri) as source:
        if source.read(2) in _UTF_16:
            raise ConfigError("requests", file.uri, "it is UTF-16; save it as UTF-8")
        source.seek(0)
        for number, start, end in find_lines(source):
            yield ImageRef(
                uri=f"{file.uri}::{number}",
                version=file.version,
                size_bytes=end - start,
                updated_at=file.updated_at,
                locator=RequestLine(start, end),
            )


def find_lines(source: IO[bytes]) -> Iterator[tuple[int, int, int]]:
    """Finds lines that are not blank: number from 1, first byte, one past the last byte.

    Lines end in LF or CRLF, which is not in them, or with the file; nor is a byte order mark in the
    first one. The file is at its beginning, and memory holds 1 MiB of it at a time.
    """
    offset = len(_BYTE_ORDER_MARK) if source.read(3) == _BYTE_ORDER_MARK else 0
    source.seek(offset)
    number, start, is_blank, is_returned = 1, offset, True, False
    while chunk := source.read(_CHUNK_BYTES):
        for index, piece in enumerate(chunk.split(b"\n")):
            if index:
                if not is_blank:
                    yield number, start, offset - is_returned
                offset += 1
                number, start, is_blank, is_returned = number + 1, offset, True, False
            if piece:
                is_blank = is_blank and piece.isspace()
                is_returned = piece.endswith(b"\r")
                offset += len(piece)
    if not is_blank:
        yield number, start, offset - is_returned
