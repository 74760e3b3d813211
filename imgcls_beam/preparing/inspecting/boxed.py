"""AVIF and HEIF, which are made of the boxes of ISO files."""

import dataclasses
import re
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from imgcls_beam.preparing.inspecting import Inspection
from imgcls_beam.preparing.limits import MAX_CHUNKS

_ISPE = re.compile(rb"ispe\0.{3}(.{8})", re.DOTALL)
_EXIF = re.compile(rb"(infe[\2\3].{7,9}?)Exif", re.DOTALL)
_HEAD_BYTES = 1 << 16


class Box(NamedTuple):
    """Where a box lies; the last one may be as long as the file is, and says 0."""

    kind: bytes
    start: int
    end: int


def inspect_avif(data: bytes) -> Inspection:
    """The sizes of its items. EXIF is renamed always, since Pillow refuses an image with bad EXIF.

    The orientation is not lost: AVIF keeps it in a box of its own.
    """
    boxes = list(walk_boxes(data))
    inner = data.count(b"ispe") + data.count(b"infe")
    if inner > MAX_CHUNKS:
        return Inspection(data, [], chunks=inner)
    return Inspection(
        _EXIF.sub(rb"\1none", data) if _EXIF.search(data) else data,
        [struct.unpack(">II", found[1]) for found in _ISPE.finditer(data)],
        is_cut=is_box_cut(data, boxes),
        chunks=len(boxes) + inner,
    )


def inspect_heif(data: bytes) -> Inspection:
    """The sizes of its items, and their codec; EXIF is renamed, as in AVIF."""
    is_usual = b"hvc1" in data[:_HEAD_BYTES]
    kind = "" if is_usual else "a HEIF of another codec than HEVC"
    return dataclasses.replace(inspect_avif(data), variant=kind, codec=kind)


def walk_boxes(data: bytes) -> Iterator[Box]:
    """Yields the outermost boxes, up to one that is too short to be one."""
    at, count = 0, 0
    while at + 8 <= len(data) and count <= MAX_CHUNKS:
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        end = len(data) if length == 0 else at + length
        if 0 < length < 8:
            return
        yield Box(data[at + 4 : at + 8], at, end)
        at, count = end, count + 1


def is_box_cut(data: bytes, boxes: Sequence[Box]) -> bool:
    """Whether the last box ends elsewhere than the data, or none holds pixels."""
    has_pixels = any(box.kind in (b"mdat", b"jp2c") for box in boxes)
    return not has_pixels or boxes[-1].end > len(data)
