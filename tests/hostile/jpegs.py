"""JPEGs that cost much."""

import functools
import struct

import numpy as np
from PIL import Image

from tests import pictures

PICTURE = pictures.draw_picture()
PLAIN = pictures.encode(PICTURE, "JPEG")
_SOI, _REST = PLAIN[:2], PLAIN[2:]
LARGE_PX = (8192, 8192)


def segment(marker: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _flood(size_bytes: int, piece: bytes) -> bytes:
    """A good JPEG with the piece again and again before its first segment."""
    return _SOI + piece * (size_bytes // len(piece)) + _REST


def _flood_behind_frame(size_bytes: int, piece: bytes) -> bytes:
    at = PLAIN.index(b"\xff\xda")
    return PLAIN[:at] + piece * (size_bytes // len(piece)) + PLAIN[at:]


def _declare(data: bytes, size_px: tuple[int, int], from_px: tuple[int, int]) -> bytes:
    """Another size in the header, so that most of the pixels are not in the file."""
    return data.replace(struct.pack(">HH", *from_px[::-1]), struct.pack(">HH", *size_px[::-1]), 1)


def _lying(size_bytes: int, **options: object) -> bytes:
    data = pictures.encode(PICTURE, "JPEG", **options)
    return _declare(data, LARGE_PX, PICTURE.size)


def _scans(size_bytes: int, scans: int, size_px: tuple[int, int]) -> bytes:
    """A progressive JPEG of one colour, whose last scan comes again and again."""
    data = _progressive(size_px)
    last = data.rindex(b"\xff\xda")
    tail = data[last:-2]
    return data[:last] + tail * (scans - data[:last].count(b"\xff\xda")) + data[-2:]


@functools.cache
def _progressive(size_px: tuple[int, int]) -> bytes:
    return pictures.encode(Image.new("RGB", size_px, (90, 120, 30)), "JPEG", progressive=True)


def _first_scans(size_bytes: int) -> bytes:
    """The scans of the lowest frequency, which go over every block."""
    data = _progressive((4000, 3000))
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xc4", first)
    scan = data[first:second]
    return data[:second] + scan * 90 + data[second:]


def _photoshop(size_bytes: int) -> bytes:
    """Resources of no bytes in segments of Photoshop's."""
    resource = b"8BIM\x04\x04\0\0\0\0\0\0"
    body = b"Photoshop 3.0\0" + resource * 5000
    return _flood(size_bytes, segment(0xED, body))


def _exif_loop(size_bytes: int) -> bytes:
    """Directories of EXIF that name themselves."""
    tag = struct.pack("<HHLL", 0x8769, 4, 1, 8)
    more = struct.pack("<HHLL", 0x8825, 4, 1, 8)
    block = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + tag + more + struct.pack("<L", 8)
    return pictures.with_jpeg_segments(pictures.jpeg_without_density(PICTURE), 0xE1, block)


def _exif_many(size_bytes: int) -> bytes:
    """A whole EXIF segment again and again: decoders join them."""
    block = b"Exif\0\0" + pictures.tag_bomb(5000, 65_000)
    return pictures.with_jpeg_segments(
        pictures.jpeg_without_density(PICTURE), 0xE1, *[block] * max(2, size_bytes // len(block))
    )


def _mpo(size_bytes: int) -> bytes:
    """A directory of 65,535 further pictures."""
    entries = struct.pack("<HHLL", 0xB001, 4, 1, 65_535) + struct.pack(
        "<HHLL", 0xB002, 7, 65_535 * 16, 50
    )
    block = b"MPF\0II*\0\x08\0\0\0\x02\0" + entries + bytes(4)
    return pictures.with_jpeg_segments(PLAIN, 0xE2, block + bytes(60_000))


def _restarts(size_bytes: int) -> bytes:
    """Restart marks in the place of pixels."""
    at = PLAIN.index(b"\xff\xda")
    head = PLAIN[:at] + segment(0xDD, b"\0\1") + PLAIN[at : at + 14]
    return _declare(head, LARGE_PX, PICTURE.size) + b"\xff\xd0" * (size_bytes // 2) + b"\xff\xd9"


def _sampled(size_bytes: int) -> bytes:
    """Blocks of 4 × 4 samples for each of the other channels."""
    data = bytearray(pictures.encode(PICTURE, "JPEG", subsampling=0))
    at = data.index(b"\xff\xc0")
    data[at + 11] = 0x44
    return _declare(bytes(data), LARGE_PX, PICTURE.size)


def _arithmetic(size_bytes: int) -> bytes:
    """Said to be arithmetic-coded, and progressive."""
    data = pictures.encode(PICTURE, "JPEG", progressive=True).replace(b"\xff\xc2", b"\xff\xca", 1)
    return _declare(data, LARGE_PX, PICTURE.size)


def _profile(size_bytes: int) -> bytes:
    """A profile in 255 pieces, each of which says it is the first."""
    piece = segment(0xE2, b"ICC_PROFILE\0\1\xff" + bytes(60_000))
    return _flood(max(size_bytes, len(piece)), piece)


def _noise(size_bytes: int) -> bytes:
    """Pixels that no other pixel foretells: the dearest good picture of its size."""
    edge = max(64, int((size_bytes / 1.5) ** 0.5))
    pixels = np.random.default_rng(3).integers(0, 256, (edge, edge, 3), np.uint8)
    return pictures.encode(Image.fromarray(pixels), "JPEG", quality=95, progressive=True)


MAKERS = {
    "empty segments": lambda size: _flood(size, segment(0xE5)),
    "empty comments": lambda size: _flood(size, segment(0xFE)),
    "empty Huffman tables": lambda size: _flood(size, segment(0xC4)),
    "empty quantization tables": lambda size: _flood(size, segment(0xDB)),
    "quantization tables": lambda size: _flood(size, segment(0xDB, (b"\0" + bytes(64)) * 1000)),
    "fill bytes": lambda size: _SOI + b"\xff" * size + _REST,
    "stuffed bytes": lambda size: _SOI + b"\xff\x00" * (size // 2) + _REST,
    "zero bytes": lambda size: _SOI + b"\xff\xe0\0\2" + bytes(size) + _REST,
    "starts": lambda size: _SOI * (size // 2) + _REST,
    "restarts in the head": lambda size: _flood(size, b"\xff\xd3"),
    "frames": lambda size: _flood(size, segment(0xC0, PLAIN[PLAIN.index(b"\xff\xc0") + 4 :][:15])),
    "segments behind the frame": lambda size: _flood_behind_frame(size, segment(0xE5)),
    "tables behind the frame": lambda size: _flood_behind_frame(size, segment(0xDB)),
    "fill bytes behind the frame": lambda size: _flood_behind_frame(size, b"\xff"),
    "segments of 4 KiB": lambda size: _flood(size, segment(0xE5, bytes(4096))),
    "comments of 64 KiB": lambda size: _flood(size, segment(0xFE, bytes(65_000))),
    "a profile of first pieces": _profile,
    "Photoshop's resources": _photoshop,
    "EXIF loop": _exif_loop,
    "EXIF again and again": _exif_many,
    "a directory of pictures": _mpo,
    "restarts for pixels": _restarts,
    "scans, 5,000": lambda size: pictures.jpeg_with_scans(5000),
    "scans, 90 of 64 Mi pixels": lambda size: _scans(size, 90, LARGE_PX),
    "scans, 100 of 12 million": lambda size: _scans(size, 100, (4000, 3000)),
    "scans, 20 of 64 Mi pixels": lambda size: _scans(size, 20, LARGE_PX),
    "first scans, 90": _first_scans,
    "pixels that are not there": _lying,
    "pixels that are not there, progressive": lambda size: _lying(size, progressive=True),
    "pixels that are not there, arithmetic": _arithmetic,
    "samples of 4 × 4": _sampled,
    "pixels, 1 × 65,500": lambda size: pictures.encode(Image.new("L", (1, 65_500)), "JPEG"),
    "no height": lambda size: _declare(PLAIN, (46, 0), PICTURE.size),
    "noise, progressive": _noise,
}
