"""Lines of responses in the order of their requests, whatever the order in which a runner ends.

A runner that spreads its work gives lines in any order. They are sorted when staged files become
one: so many bytes in memory, what is more in sorted files on the worker's disk, which are merged.
"""

import contextlib
import heapq
import re
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

_SORTED_BYTES = 64 << 20
"""Lines that are sorted in memory at once."""
_OPEN_FILES = 128
"""Sorted files that are open at once; then they become one."""
_URI = re.compile(rb'"image_uri": "((?:[^"\\]+|\\.)*)"')
"""The URI, as JSON spells it. An id before it has no such text: its own quotes are escaped."""


def sort_lines(lines: Iterable[bytes], sorted_bytes: int = _SORTED_BYTES) -> Iterator[bytes]:
    """Sorts the lines of what is numbered within an object by object and number, after all others.

    The others keep their order, as do lines of one number.

    Args:
        lines: as `lines.encode_line` makes them.
        sorted_bytes: how much is sorted in memory.
    """
    with contextlib.ExitStack() as opened:
        files: list[IO[bytes]] = []
        batch: list[bytes] = []
        size_bytes = 0
        for line in lines:
            batch.append(line)
            size_bytes += len(line)
            if size_bytes >= sorted_bytes:
                files.append(_spill(sorted(batch, key=_key), opened))
                batch, size_bytes = [], 0
                if len(files) == _OPEN_FILES:
                    files = [_merge(files, opened)]
        batch.sort(key=_key)
        yield from heapq.merge(*files, batch, key=_key)


def _spill(lines: Iterable[bytes], opened: contextlib.ExitStack) -> IO[bytes]:
    file: IO[bytes] = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  it is entered
    file.writelines(lines)
    file.seek(0)
    return file


def _merge(files: list[IO[bytes]], opened: contextlib.ExitStack) -> IO[bytes]:
    merged = _spill(heapq.merge(*files, key=_key), opened)
    for each in files:
        each.close()
    return merged


def _key(line: bytes) -> tuple[bytes, int]:
    """An object and a number in it; nothing where an image is an object of its own."""
    found = _URI.search(line)
    place, _, number = found[1].rpartition(b"::") if found else (b"", b"", b"")
    return (place, int(number)) if place and number.isdigit() else (b"", 0)
