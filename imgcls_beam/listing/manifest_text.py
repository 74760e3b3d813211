"""The text of a manifest, line by line: packed or not, in the encoding that the file says.

A byte order mark decides; without one the encoding is UTF-8, or what the job says it is. Bytes that
are not of it are never replaced: the line is refused, by the column where they stand. Where more
than one line in twenty has such bytes at the beginning, the manifest is of another encoding, and is
refused as a whole.
"""

import codecs
import collections
import contextlib
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple, TextIO

from imgcls_beam.checks import KEEP_BYTES
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.folders import open_file

MAX_LINE_CHARS = 1 << 20
HEAD_LINES = 1000
_HEAD_CHARS = 8 << 20
MAX_UNDECODED_RATIO = 0.05
_MAX_NULL_RATIO = 0.3
"""Of the characters of the first line: half of them are null where it is UTF-16 of English."""

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # it begins as that of UTF-16 does
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MARK_BYTES = 4

_UNDECODED = re.compile("[\udc00-\udcff]")
"""What an undecoded byte becomes; no decoder gives these characters itself."""

LONG_LINE = f"the line is longer than {MAX_LINE_CHARS:,} characters"


class TextLine(NamedTuple):
    """A line of a manifest.

    Attributes:
        number: from 1, blank lines counted.
        text: with its line end; of a line that is too long, its beginning.
        problem: why it cannot be used; None where it can.
    """

    number: int
    text: str
    problem: str | None = None


class Lines(Iterator[TextLine]):
    """The lines of one manifest."""

    def __init__(self, text: TextIO, uri: str, encoding: str) -> None:
        """Reads the first lines.

        Raises:
            ConfigError: they are of another encoding.
        """
        self.uri = uri
        self._text = text
        self._encoding = encoding
        self._number = 0
        self._waiting: collections.deque[TextLine] = collections.deque()
        chars = 0
        while len(self._waiting) < HEAD_LINES and chars < _HEAD_CHARS:
            line = self._read()
            if line is None:
                break
            self._waiting.append(line)
            chars += len(line.text)
        self.head = tuple(self._waiting)
        self._check_head()

    def __next__(self) -> TextLine:
        """The next line."""
        line = self._waiting.popleft() if self._waiting else self._read()
        if line is None:
            raise StopIteration
        return line

    def give_back(self, lines: list[TextLine]) -> None:
        """Puts lines back that were looked at: they come again, in this order."""
        self._waiting.extendleft(reversed(lines))

    def _read(self) -> TextLine | None:
        text = self._read_text()
        if not text:
            return None
        self._number += 1
        if len(text) == MAX_LINE_CHARS and text[-1] not in "\r\n":
            while (rest := self._read_text()) and rest[-1] not in "\r\n":
                continue
            return TextLine(self._number, text, LONG_LINE)
        found = None if text.isascii() else _UNDECODED.search(text)
        problem = self._describe(found.start()) if found else None
        return TextLine(self._number, text, problem)

    def _read_text(self) -> str:
        """Up to the end of the line, or as much as a line may have.

        Raises:
            ConfigError: it does not begin with the mark that its encoding takes.
        """
        try:
            return self._text.readline(MAX_LINE_CHARS)
        except UnicodeError as error:  # undecoded bytes raise none
            problem = (
                f"it has no byte order mark, and {self._encoding.upper()} takes one; give an "
                "encoding that says the order, e.g. --manifest_encoding=utf-16-le"
            )
            raise ConfigError("input_manifest", self.uri, problem) from error

    def _describe(self, index: int) -> str:
        return (
            f"the line is not {self._encoding.upper()} (column {index + 1}); a manifest of another "
            "encoding is read with --manifest_encoding"
        )

    def _check_head(self) -> None:
        text = [line for line in self.head if not line.text.isspace()]
        bad = [line for line in text if line.problem and line.problem != LONG_LINE]
        if len(bad) > MAX_UNDECODED_RATIO * len(text):
            found = _UNDECODED.search(bad[0].text)
            column = found.start() + 1 if found else 1
            problem = (
                f"line {bad[0].number}, column {column}: it is not {self._encoding.upper()}; give "
                "its encoding, e.g. --manifest_encoding=cp1252, or save it as UTF-8"
            )
            raise ConfigError("input_manifest", self.uri, problem)
        if text and text[0].text.count("\0") > max(2, _MAX_NULL_RATIO * len(text[0].text)):
            problem = (
                "line 1: it is full of null characters, as UTF-16 without a byte order mark is; "
                "give --manifest_encoding=utf-16-le, or save it as UTF-8"
            )
            raise ConfigError("input_manifest", self.uri, problem)


@contextlib.contextmanager
def open_lines(file: ImageRef, encoding: str) -> Iterator[Lines]:
    """Opens a manifest of lines, packed or not.

    Args:
        file: as it was listed.
        encoding: where no byte order mark says another.

    Raises:
        ConfigError: it cannot be read or unpacked to its end, or is of another encoding.
    """
    with open_file("input_manifest", file.uri, compression="infer") as source:
        try:
            head = source.read(_MARK_BYTES)
            source.seek(0)
            named = next((name for mark, name in _MARKS.items() if head.startswith(mark)), encoding)
            text = io.TextIOWrapper(source, encoding=named, errors=KEEP_BYTES, newline="")
            yield Lines(text, file.uri, named.removesuffix("-sig"))
            text.detach()
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            problem = (
                "it cannot be unpacked to its end: it is damaged, cut off, or packed otherwise"
            )
            raise ConfigError("input_manifest", file.uri, problem) from error
