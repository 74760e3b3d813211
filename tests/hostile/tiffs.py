"""TIFFs that cost much."""

import functools
import struct
import zlib

from PIL import Image

from tests import pictures
from tests.hostile.jpegs import PLAIN

LARGE_PX = (8192, 8192)
_FORMS = {3: "H", 4: "L", 16: "Q"}


def make_tiff(body: bytes, tags: dict[int, int | list[int]], following: int = 0) -> bytes:
    """A little-endian TIFF: the body lies at 8, then the numbers, then the directory."""
    data = bytearray(b"II*\0\0\0\0\0" + body)
    entries = []
    for number, value in sorted(tags.items()):
        values = value if isinstance(value, list) else [value]
        packed = struct.pack(f"<{len(values)}L", *values)
        if len(packed) > 4:
            packed, at = struct.pack("<L", len(data)), len(data)
            data += struct.pack(f"<{len(values)}L", *values)
            assert at < 1 << 32
        entries.append(struct.pack("<HHL", number, 4, len(values)) + packed)
    data[4:8] = struct.pack("<L", len(data))
    return (
        bytes(data)
        + struct.pack("<H", len(entries))
        + b"".join(entries)
        + struct.pack("<L", following)
    )


def _grey(size_px: tuple[int, int], packing: int) -> dict[int, int | list[int]]:
    return {256: size_px[0], 257: size_px[1], 258: 8, 259: packing, 262: 1, 277: 1}


def _pieces(
    size_bytes: int, packing: int, body: bytes, tile: int | None, piece_bytes: int
) -> bytes:
    """As many strips of a row, or tiles, as fit; all of them are the same bytes."""
    count = max(4, min(size_bytes // 8, 1 << 20))
    starts, lengths = [8] * count, [piece_bytes] * count
    if tile:
        edge = int(count**0.5) * tile
        tags = _grey((edge, edge), packing) | {322: tile, 323: tile}
        count = (edge // tile) ** 2
        return make_tiff(body, tags | {324: starts[:count], 325: lengths[:count]})
    tags = _grey((64, count), packing) | {278: 1}
    return make_tiff(body, tags | {273: starts, 279: lengths})


def _large_strips(size_bytes: int, packing: int) -> bytes:
    """Strips of one row, each of which is nearly the whole file."""
    body = zlib.compress(bytes(64)) + bytes(size_bytes)
    count = 20_000
    tags = _grey((64, count), packing) | {278: 1}
    return make_tiff(body, tags | {273: [8] * count, 279: [len(body)] * count})


def _jpeg_inside(size_bytes: int, scans: int) -> bytes:
    """A JPEG of many scans in its only strip."""
    image = Image.new("L", (4096, 4096), 77)
    data = pictures.encode(image, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    data = data[:last] + data[last:-2] * scans + data[-2:]
    tags = _grey(image.size, 7) | {278: image.height, 273: 8, 279: len(data)}
    return make_tiff(data, tags)


def _jpeg_markers(size_bytes: int) -> bytes:
    data = PLAIN[:2] + b"\xff\xe5\0\2" * (size_bytes // 4) + PLAIN[2:]
    tags = _grey(pictures.SIZE_PX, 7) | {277: 3, 258: [8] * 3, 262: 6, 278: 30, 273: 8}
    return make_tiff(data, tags | {279: len(data)})


@functools.cache
def _packed(packing: str, mode: str) -> bytes:
    return pictures.encode(Image.new(mode, LARGE_PX), "TIFF", compression=packing)


def _chain(size_bytes: int) -> bytes:
    """Directories, one after another; the last names the first."""
    tags = _grey((8, 8), 1) | {278: 8, 273: 8, 279: 64}
    data = bytearray(make_tiff(bytes(64), tags))
    first = int.from_bytes(data[4:8], "little")
    size = len(data) - first
    directory = bytes(data[first : first + size - 4])
    for i in range(size_bytes // size):
        data[-4:] = struct.pack("<L", first + size * (i + 1))
        data += directory + struct.pack("<L", first)
    return bytes(data)


def _below(size_bytes: int) -> bytes:
    """A directory whose EXIF, GPS and own children are itself."""
    tags = _grey((8, 8), 1) | {278: 8, 273: 8, 279: 64}
    data = make_tiff(bytes(64), tags)
    first = int.from_bytes(data[4:8], "little")
    return make_tiff(bytes(64), tags | {0x8769: first, 0x8825: first, 330: [first] * 1000}, first)


MAKERS = {
    "strips of a row, plain": lambda size: _pieces(size, 1, bytes(64), None, 64),
    "strips of a row, deflated": lambda size: _pieces(size, 8, zlib.compress(bytes(64)), None, 11),
    "tiles of 16 × 16, plain": lambda size: _pieces(size, 1, bytes(256), 16, 256),
    "tiles of 16 × 16, deflated": lambda size: _pieces(size, 8, zlib.compress(bytes(256)), 16, 12),
    "tiles of one pixel": lambda size: _pieces(size, 1, bytes(1), 1, 1),
    "strips that are the whole file": lambda size: _large_strips(size, 8),
    "strips that are the whole file, LZW": lambda size: _large_strips(size, 5),
    "strips that are the whole file, plain": lambda size: _large_strips(size, 1),
    "a tile of 20,000": lambda size: pictures.tiff_of((8, 8), (20_000, 20_000)),
    "a tile of 8,192": lambda size: pictures.tiff_of((8, 8), LARGE_PX),
    "a JPEG of 5,000 scans": lambda size: _jpeg_inside(size, 5000),
    "a JPEG of 90 scans": lambda size: _jpeg_inside(size, 90),
    "a JPEG of empty segments": _jpeg_markers,
    "64 Mi pixels, deflated": lambda size: _packed("tiff_adobe_deflate", "RGB"),
    "64 Mi pixels, LZW": lambda size: _packed("tiff_lzw", "L"),
    "64 Mi pixels, run lengths": lambda size: _packed("packbits", "L"),
    "64 Mi pixels, fax": lambda size: _packed("group4", "1"),
    "64 Mi pixels, CMYK": lambda size: _packed("tiff_adobe_deflate", "CMYK"),
    "64 Mi pixels that are not there": lambda size: make_tiff(
        bytes(64), _grey(LARGE_PX, 8) | {278: LARGE_PX[1], 273: 8, 279: 64}
    ),
    "a chain of directories": _chain,
    "a directory in itself": _below,
    "tags that share their bytes": lambda size: pictures.tag_bomb(5000, 120_000),
    "a tag of 4 billion values": lambda size: make_tiff(
        bytes(64), _grey((8, 8), 1) | {278: 8, 273: 8, 279: 64}
    ).replace(struct.pack("<HHL", 258, 4, 1), struct.pack("<HHL", 258, 4, 0xFFFFFFFF)),
}
