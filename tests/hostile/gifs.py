"""GIFs that cost much."""

import functools
import io

from PIL import Image

from tests import pictures

LARGE_PX = (8192, 8192)


def _before(size_bytes: int, piece: bytes) -> bytes:
    return pictures.gif_of(pictures.SIZE_PX, piece * (size_bytes // len(piece)))


@functools.cache
def _flat() -> bytes:
    return pictures.encode(Image.new("P", LARGE_PX), "GIF")


def _frames(size_bytes: int) -> bytes:
    """Frames of one pixel on a large canvas."""
    buffer = io.BytesIO()
    Image.new("P", (16, 16)).save(buffer, "GIF")
    data = buffer.getvalue()
    at = data.index(b",")
    return data[:at] + data[at:-1] * (size_bytes // (len(data) - at)) + b";"


def _pixels(size_bytes: int, piece: bytes) -> bytes:
    """Pixels in pieces of so many bytes."""
    data = pictures.gif_of(LARGE_PX)
    at = data.rindex(b"\x02L\x01")
    return data[:at] + piece * (size_bytes // len(piece)) + b"\0;"


MAKERS = {
    "comments of one byte": lambda size: _before(size, b"!\xfe\1a\0"),
    "one comment": lambda size: pictures.gif_of((1, 1), b"!\xfe" + b"\1a" * (size // 2) + b"\0"),
    "controls": lambda size: _before(size, b"!\xf9\4\0\0\0\0\0"),
    "controls of one byte": lambda size: _before(size, b"!\xf9\1\0\0"),
    "application blocks": lambda size: _before(size, b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0"),
    "application blocks of no bytes": lambda size: _before(size, b"!\xff\0"),
    "plain texts": lambda size: _before(size, b"!\x01\1a\0"),
    "zero bytes": lambda size: _before(size, b"\0"),
    "unknown blocks": lambda size: _before(size, b"\x55"),
    "frames": _frames,
    "pixels of one byte a block": lambda size: _pixels(size, b"\1\x24"),
    "pixels that begin again": lambda size: _pixels(size, b"\xff" + b"\x24" * 255),
    "pixels that are not there": lambda size: pictures.gif_of(LARGE_PX),
    "64 Mi pixels": lambda size: _flat(),
    "a canvas of 65,535": lambda size: pictures.gif_of((65_535, 65_535)),
    "no palette, no frame": lambda size: b"GIF89a" + bytes(7) + b"!" * size,
}
