"""The tags of a TIFF, and of the EXIF block that other formats carry: a small TIFF of its own.

Pillow copies what every tag points at, and many tags may point at the same bytes: a JPEG of 300 kB
took 5.8 GB and 17 s when it was opened. So what the tags claim is added up here first.
"""

import itertools
import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_TYPE_BYTES = {
    **{kind: 1 for kind in (1, 2, 6, 7)},
    **{kind: 2 for kind in (3, 8)},
    **{kind: 4 for kind in (4, 9, 11, 13)},
    **{kind: 8 for kind in (5, 10, 12, 16)},
}
_INTEGERS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q"}
_NUMBERS = {**_INTEGERS, 6: "b", 8: "h", 9: "l", 11: "f", 12: "d"}

_SUB_DIRECTORIES = (0x8769, 0x8825, 0xA005)
"""EXIF, GPS and interoperability, which Pillow loads with a TIFF."""

_SLACK_BYTES = 1 << 20
"""Tags of good files do not overlap; careless writers get so much beyond the block's own size."""
MAX_TAGS = 1 << 18


class Tag(NamedTuple):
    """One entry of a directory.

    Attributes:
        number: e.g. 0x0112 for the orientation.
        kind: the TIFF type of its values.
        values: how many; 0 of an unknown type.
        start: where its values lie in the block, in bytes.
    """

    number: int
    kind: int
    values: int
    start: int

    @property
    def size_bytes(self) -> int:
        """Of all its values."""
        return self.values * _TYPE_BYTES.get(self.kind, 0)


def _byte_order(block: bytes) -> str:
    return "<" if block.startswith(b"II") else ">"


def read_tags(block: bytes, offset: int | None = None) -> Iterator[Tag]:
    """Yields the entries of the directory at `offset`, or the first one, as far as they are there.

    The block is a TIFF, from its byte order mark on.
    """
    order, is_big = _byte_order(block), block[2:3] == b"+"
    count_form, tag_form, pointer_form = ("Q", "HHQ", "Q") if is_big else ("H", "HHL", "L")
    inline_bytes = 8 if is_big else 4
    try:
        if offset is None:
            (offset,) = struct.unpack_from(order + pointer_form, block, inline_bytes)
        (count,) = struct.unpack_from(order + count_form, block, offset)
        at = offset + struct.calcsize(count_form)
        for _ in range(count):
            number, kind, values = struct.unpack_from(order + tag_form, block, at)
            start = at + struct.calcsize(order + tag_form)
            size_bytes = values * _TYPE_BYTES.get(kind, 0)
            at = start + inline_bytes
            if size_bytes > inline_bytes:
                (start,) = struct.unpack_from(order + pointer_form, block, start)
            yield Tag(number, kind, values if size_bytes else 0, start)
    except (struct.error, OverflowError):
        return


def read_integers(block: bytes, tag: Tag, limit: int) -> tuple[int, ...]:
    """A tag's values, the first `limit` of them; none where they are not in the block."""
    return _unpack(block, tag, limit, _INTEGERS)


def read_numbers(block: bytes, tag: Tag, limit: int) -> tuple[float, ...]:
    """A tag's values that are finite, the first `limit` of them, of integers and of floats."""
    return tuple(filter(math.isfinite, _unpack(block, tag, limit, _NUMBERS)))


def _unpack(block: bytes, tag: Tag, limit: int, forms: Mapping[int, str]) -> tuple[Any, ...]:
    form = forms.get(tag.kind)
    if form is None or tag.start + tag.size_bytes > len(block):
        return ()
    count = min(tag.values, limit)
    return struct.unpack_from(f"{_byte_order(block)}{count}{form}", block, tag.start)


def is_tag_bomb(block: bytes) -> bool:
    """Whether the tags of a TIFF or EXIF block claim far more bytes than it has."""
    while block.startswith(b"Exif\0\0"):
        block = block[6:]
    budget_bytes = len(block) + _SLACK_BYTES
    for count, claimed_bytes in enumerate(itertools.accumulate(_claimed_bytes(block))):
        if claimed_bytes > budget_bytes or count > MAX_TAGS:
            return True
    return False


def _claimed_bytes(block: bytes, offset: int | None = None, depth: int = 0) -> Iterator[int]:
    for tag in read_tags(block, offset):
        if tag.start + tag.size_bytes <= len(block):
            yield tag.size_bytes
        if tag.number in _SUB_DIRECTORIES and depth < 2:
            for below in read_integers(block, tag, 1):
                yield from _claimed_bytes(block, below, depth + 1)
        yield 0
