"""The tags of a TIFF, and of the EXIF block that other formats carry: a small TIFF of its own.

Pillow copies what every tag points at, and many tags may point at the same bytes: a JPEG of 300 kB
took 5.8 GB and 17 s when it was opened. So what the tags claim is added up here first.
"""

import itertools
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

_TYPE_BYTES = {
    **{kind: 1 for kind in (1, 2, 6, 7)},
    **{kind: 2 for kind in (3, 8)},
    **{kind: 4 for kind in (4, 9, 11, 13)},
    **{kind: 8 for kind in (5, 10, 12, 16)},
}
_INTEGERS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q"}

WIDTH, HEIGHT, TILE_WIDTH, TILE_HEIGHT = 256, 257, 322, 323
_PIECES = ((273, 279), (324, 325))
"""Where strips and tiles lie, and how long each is."""
_SUB_DIRECTORIES = (0x8769, 0x8825, 0xA005)
"""EXIF, GPS and interoperability, which Pillow loads with a TIFF."""

_SLACK_BYTES = 1 << 20
"""Tags of good files do not overlap; careless writers get so much beyond the block's own size."""
_MAX_TAGS = 1 << 16
_MAX_PIECES = 1 << 20
_MAX_EXIF_BYTES = 8 << 20
_MAX_EXIF_HEADS = 16

_JPEG_EXIF = re.compile(rb"\xff\xe1(..)Exif\0\0", re.DOTALL)
_AVIF_EXIF = re.compile(rb"(infe[\2\3].{7,9}?)Exif", re.DOTALL)


class Tag(NamedTuple):
    """One entry of a directory.

    Attributes:
        number: e.g. 0x0112 for the orientation.
        kind: the TIFF type of its values.
        start: where its values lie in the block, in bytes.
        size_bytes: of all its values.
    """

    number: int
    kind: int
    start: int
    size_bytes: int


def _byte_order(block: bytes) -> str:
    return "<" if block.startswith(b"II") else ">"


def _read_tags(block: bytes, offset: int | None = None) -> Iterator[Tag]:
    """Yields a directory's entries; stops where the block does.

    Args:
        block: a TIFF, from its byte order mark on.
        offset: where the directory lies; None for the first one.
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
            yield Tag(number, kind, start, size_bytes)
    except (struct.error, OverflowError):
        return


def _read_integers(block: bytes, tag: Tag, limit: int | None = None) -> tuple[int, ...]:
    """A tag's values, the first `limit` of them; none where they are not in the block."""
    form = _INTEGERS.get(tag.kind)
    if form is None or tag.start + tag.size_bytes > len(block):
        return ()
    count = tag.size_bytes // _TYPE_BYTES[tag.kind]
    count = count if limit is None else min(count, limit)
    return struct.unpack_from(f"{_byte_order(block)}{count}{form}", block, tag.start)


def _claimed_bytes(block: bytes, offset: int | None = None, depth: int = 0) -> Iterator[int]:
    for tag in _read_tags(block, offset):
        if tag.start + tag.size_bytes <= len(block):
            yield tag.size_bytes
        if tag.number in _SUB_DIRECTORIES and depth < 2:
            for below in _read_integers(block, tag, 1):
                yield from _claimed_bytes(block, below, depth + 1)
        yield 0


def is_tag_bomb(block: bytes) -> bool:
    """Whether the tags of a TIFF or EXIF block claim far more bytes than it has."""
    while block.startswith(b"Exif\0\0"):
        block = block[6:]
    budget_bytes = len(block) + _SLACK_BYTES
    for count, claimed_bytes in enumerate(itertools.accumulate(_claimed_bytes(block))):
        if claimed_bytes > budget_bytes or count > 4 * _MAX_TAGS:
            return True
    return False


def without_hostile_exif(data: bytes, name: str) -> bytes:
    """The same image, with its EXIF renamed where opening it would trip on it.

    JPEG: where it is a tag bomb. AVIF: always, since Pillow refuses the image for bad EXIF, and the
    orientation stands elsewhere. The other formats do not read EXIF when they are opened.
    """
    if name == "AVIF":
        return _AVIF_EXIF.sub(rb"\1none", data) if _AVIF_EXIF.search(data) else data
    if name != "JPEG" or not _has_jpeg_bomb(data):
        return data
    return data.replace(b"Exif\0\0", b"none\0\0")


def _has_jpeg_bomb(data: bytes) -> bool:
    # Pillow joins all the segments. What it takes for the first of them can be forged, so each one
    # that could begin a directory is tried.
    segments = list(_JPEG_EXIF.finditer(data))
    if not segments:
        return False
    bodies = [data[s.end() : s.start() + 2 + int.from_bytes(s[1], "big")] for s in segments]
    heads = [i for i, body in enumerate(bodies) if body[:2] in (b"II", b"MM")]
    if len(heads) > _MAX_EXIF_HEADS or sum(map(len, bodies)) > _MAX_EXIF_BYTES:
        return True
    return any(is_tag_bomb(b"".join(bodies[i:])) for i in heads)


def tiff_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """(width, height) in pixels of a TIFF's first image, and of its tiles."""
    wanted = (WIDTH, HEIGHT, TILE_WIDTH, TILE_HEIGHT)
    found = {
        tag.number: value
        for tag in itertools.islice(_read_tags(data), _MAX_TAGS)
        if tag.number in wanted
        for value in _read_integers(data, tag, 1)
    }
    yield found.get(WIDTH, 0), found.get(HEIGHT, 0)
    yield found.get(TILE_WIDTH, 0), found.get(TILE_HEIGHT, 0)


def find_tiff_trap(data: bytes) -> str | None:
    """What makes a TIFF too dear to open, as the end of a sentence; None for a harmless one."""
    if is_tag_bomb(data):
        return "has tags that claim more bytes than the file has"
    numbers = [number for pair in _PIECES for number in pair]
    for tag in _read_tags(data):
        pieces = tag.size_bytes // _TYPE_BYTES.get(tag.kind, 1)
        if tag.number in numbers and pieces > _MAX_PIECES:
            return f"has more than {_MAX_PIECES:,} strips or tiles"
    return None


def is_tiff_cut_short(data: bytes) -> bool:
    """Whether a TIFF's tags, strips or tiles lie beyond its end, or are not there at all."""
    tags = {tag.number: tag for tag in itertools.islice(_read_tags(data), _MAX_TAGS)}
    if not tags or any(tag.start + tag.size_bytes > len(data) for tag in tags.values()):
        return True
    for offsets, counts in _PIECES:
        if offsets in tags and counts in tags:
            starts = _read_integers(data, tags[offsets], _MAX_PIECES)
            lengths = _read_integers(data, tags[counts], _MAX_PIECES)
            return any(sum(piece) > len(data) for piece in zip(starts, lengths, strict=False))
    return True
