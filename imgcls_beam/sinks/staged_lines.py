"""What was staged of a file of lines, and whether another file has the same lines."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from typing import IO

_CHUNK_BYTES = 1 << 20
_MODULUS = 1 << 256


@dataclasses.dataclass(frozen=True, slots=True)
class StagedLines:
    """The lines of one bundle.

    Attributes:
        path: where they lie, in the folder of the file that is published.
        lines: how many there are.
        size_bytes: of all of them.
        digest: of them in any order, 64 hex digits.
    """

    path: str
    lines: int
    size_bytes: int
    digest: str


class LinesSum:
    """Says whether two files have the same lines, in whatever order.

    Attributes:
        lines: how many there are.
        size_bytes: of all of them.
    """

    def __init__(self) -> None:
        """No line yet."""
        self.lines = self.size_bytes = self._sum = 0

    def add(self, line: bytes) -> None:
        """Adds a line, its line end included."""
        self.lines += 1
        self.size_bytes += len(line)
        self._sum += int.from_bytes(hashlib.sha256(line).digest())

    @property
    def digest(self) -> str:
        """The sum of the lines' SHA-256, 64 hex digits."""
        return _spell(self._sum)


def add_digests(digests: Iterable[str]) -> str:
    """The digest of all lines of several files."""
    return _spell(sum(int(each, 16) for each in digests))


def _spell(total: int) -> str:
    return f"{total % _MODULUS:064x}"


def read_lines(source: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, each with its end; the last one has none where the file is cut."""
    rest = b""
    while chunk := source.read(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest
