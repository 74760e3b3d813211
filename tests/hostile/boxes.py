"""AVIF, HEIF and JPEG 2000 files that cost much."""

import functools
import struct

from PIL import Image

from tests import pictures

PICTURE = pictures.draw_picture()
LARGE_PX = (8192, 8192)
_GRID = {"AVIF": pictures.encode(PICTURE, "AVIF"), "HEIF": pictures.encode(PICTURE, "HEIF")}


def box(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def _flood(kind: str, size_bytes: int, piece: bytes) -> bytes:
    """A good file with the piece again and again behind its first box."""
    data = _GRID[kind]
    end = int.from_bytes(data[:4], "big")
    return data[:end] + piece * (size_bytes // len(piece)) + data[end:]


@functools.cache
def _flat(kind: str) -> bytes:
    return pictures.encode(Image.new("L", LARGE_PX, 90), kind, quality=30)


@functools.cache
def _flat_avif() -> bytes:
    """One tile again and again would be less, and is what a grid is."""
    return pictures.encode(Image.new("L", (4096, 4096), 90), "AVIF", speed=10, quality=30)


def _extents(size_bytes: int) -> bytes:
    """An item of 60,000 extents, each of which is the whole file."""
    data = _GRID["AVIF"]
    at = data.index(b"iloc")
    start, size = at - 4, int.from_bytes(data[at - 4 : at], "big")
    count = min(60_000, max(10, size_bytes // 8))
    extent = struct.pack(">II", 0, len(data))
    body = b"\0\0\0\0\x44\0\0\1\0\1\0\0" + struct.pack(">H", count) + extent * count
    grown = box(b"iloc", body)
    meta = data.index(b"meta")
    meta_size = int.from_bytes(data[meta - 4 : meta], "big") + len(grown) - size
    head = data[: meta - 4] + struct.pack(">I", meta_size) + data[meta:start]
    return head + grown + data[start + size :]


def _inside_meta(kind: str, size_bytes: int, piece: bytes) -> bytes:
    data = _GRID[kind]
    meta = data.index(b"meta")
    size = int.from_bytes(data[meta - 4 : meta], "big")
    more = piece * (size_bytes // len(piece))
    end = meta - 4 + size
    head = data[: meta - 4] + struct.pack(">I", size + len(more)) + data[meta:end]
    return head + more + data[end:]


def _declared(kind: str, size_px: tuple[int, int]) -> bytes:
    """A small picture that declares a large size."""
    data = _GRID[kind]
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", *size_px) + data[at + 8 :]


def _codestream(size_px: tuple[int, int], **options: object) -> bytearray:
    return bytearray(pictures.encode(Image.new("L", size_px), "JPEG2000", no_jp2=True, **options))


def _precincts(size_bytes: int, size_px: tuple[int, int], levels: int = 0) -> bytes:
    """Precincts of one pixel: the decoder keeps something for each."""
    data = _codestream((8, 8), num_resolutions=1)
    data[8:16] = struct.pack(">II", *size_px)
    data[24:32] = struct.pack(">II", *size_px)
    at = data.index(b"\xff\x52")
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    body = bytearray(data[at + 4 : at + 2 + length])
    body[0] |= 1
    body[5] = levels
    grown = bytes(body[:10]) + bytes(levels + 1)
    return bytes(
        data[:at] + struct.pack(">HH", 0xFF52, 2 + len(grown)) + grown + data[at + 2 + length :]
    )


def _blocks(size_bytes: int) -> bytes:
    """Code blocks of 4 × 4 pixels."""
    data = _codestream((8, 8), num_resolutions=1)
    data[8:16] = data[24:32] = struct.pack(">II", *LARGE_PX)
    at = data.index(b"\xff\x52")
    data[at + 10] = data[at + 11] = 0
    return bytes(data)


def _layers(size_bytes: int) -> bytes:
    """65,535 layers, each of which may have a packet in each precinct."""
    data = _codestream((64, 64), num_resolutions=6)
    at = data.index(b"\xff\x52")
    data[at + 6 : at + 8] = b"\xff\xff"
    return bytes(data) + bytes(1000)


def _four_channels(size_bytes: int) -> bytes:
    """64 Mi pixels that take 25 bytes of memory each."""
    data = bytearray(pictures.encode(Image.new("RGBA", (64, 64)), "JPEG2000", no_jp2=True))
    data[8:16] = data[24:32] = struct.pack(">II", *LARGE_PX)
    return bytes(data)


def _comments(size_bytes: int) -> bytes:
    data = bytes(_codestream((8, 8)))
    at = data.index(b"\xff\x52")
    comment = b"\xff\x64\0\4\0\0"
    return data[:at] + comment * (size_bytes // len(comment)) + data[at:]


def _tile_parts(size_bytes: int) -> bytes:
    """Parts of a tile that hold nothing."""
    data = bytes(_codestream((8, 8)))
    at = data.index(b"\xff\x90")
    part = struct.pack(">HHHIBBH", 0xFF90, 10, 0, 14, 0, 0, 0xFF93)
    return data[:at] + part * (size_bytes // len(part)) + data[at:]


MAKERS = {
    "AVIF, 64 Mi pixels": lambda size: _flat("AVIF"),
    "AVIF, empty boxes": lambda size: _flood("AVIF", size, box(b"free")),
    "AVIF, boxes of 4 KiB": lambda size: _flood("AVIF", size, box(b"free", bytes(4096))),
    "AVIF, empty boxes in its head": lambda size: _inside_meta("AVIF", size, box(b"free")),
    "AVIF, sizes in its head": lambda size: _inside_meta("AVIF", size, box(b"ispe", bytes(12))),
    "AVIF, EXIF heads": lambda size: _inside_meta(
        "AVIF", size, box(b"infe", b"\2\0\0\0\0\1\0\0Exif\0")
    ),
    "AVIF, extents": _extents,
    "AVIF, a size that is not there": lambda size: _declared("AVIF", LARGE_PX),
    "AVIF, a size of 4 billion": lambda size: _declared("AVIF", (0xFFFFFFFF, 0xFFFFFFFF)),
    "AVIF, a box in itself": lambda size: _inside_meta("AVIF", 8, struct.pack(">I", 0) + b"meta"),
    "HEIF, empty boxes": lambda size: _flood("HEIF", size, box(b"free")),
    "HEIF, empty boxes in its head": lambda size: _inside_meta("HEIF", size, box(b"free")),
    "HEIF, a size that is not there": lambda size: _declared("HEIF", LARGE_PX),
    "JPEG2000, precincts of 4,096²": lambda size: _precincts(size, (4096, 4096)),
    "JPEG2000, precincts of 1,024²": lambda size: _precincts(size, (1024, 1024)),
    "JPEG2000, precincts, 33 levels": lambda size: _precincts(size, (1024, 1024), 32),
    "JPEG2000, blocks of 4 × 4": _blocks,
    "JPEG2000, layers": _layers,
    "JPEG2000, 64 Mi pixels of four channels": _four_channels,
    "JPEG2000, comments": _comments,
    "JPEG2000, parts of a tile": _tile_parts,
    "JPEG2000, tiles": lambda size: pictures.jpeg2000_with_tiles((255, 255), (1, 1)),
    "JPEG2000, 64 Mi pixels that are not there": lambda size: pictures.jpeg2000_with_tiles(
        LARGE_PX, LARGE_PX
    ),
}
