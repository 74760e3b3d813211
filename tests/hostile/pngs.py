"""PNGs that cost much."""

import functools
import struct
import zlib

from tests import pictures
from tests.pictures import png_chunk, png_of

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGE_PX = (8192, 8192)
_XMP = b"XML:com.adobe.xmp\0"


def make_png(
    size_px: tuple[int, int], colour: int, bits: int, packed: bytes, lace: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", *size_px, bits, colour, 0, 0, lace)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return _SIGNATURE + b"".join(png_chunk(kind, body) for kind, body in chunks)


@functools.cache
def _flat(colour: int, bits: int, channels: int, lace: int = 0) -> bytes:
    """One colour, of 64 Mi pixels, packed as far as it goes."""
    packer = zlib.compressobj(9)
    row = bytes(1 + LARGE_PX[0] * bits * channels // 8)
    rows = LARGE_PX[1] + (LARGE_PX[1] if lace else 0)
    packed = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    return make_png(LARGE_PX, colour, bits, packed, lace)


@functools.cache
def _thin(size_px: tuple[int, int]) -> bytes:
    return make_png(size_px, 0, 8, zlib.compress(bytes((1 + size_px[0]) * size_px[1]), 9))


def _flood(size_bytes: int, piece: bytes) -> bytes:
    return png_of(pictures.SIZE_PX, piece * (size_bytes // len(piece)))


def _empty_blocks(size_bytes: int) -> bytes:
    """Deflated blocks of no bytes before the pixels."""
    rows = zlib.compressobj(wbits=-15)
    body = rows.compress(bytes((1 + 8 * 3) * 8)) + rows.flush()
    empty = b"\0\0\0\xff\xff"
    sum_bytes = struct.pack(">I", zlib.adler32(bytes((1 + 8 * 3) * 8)))
    packed = b"\x78\x9c" + empty * (size_bytes // len(empty)) + body + sum_bytes
    return make_png((8, 8), 2, 8, packed)


def _beyond(size_bytes: int) -> bytes:
    """A thousand times more rows than the header declares."""
    packed = zlib.compress(bytes(min(size_bytes * 1000, 1 << 28)), 9)
    return make_png((8, 8), 2, 8, packed)


def _text(kind: bytes, head: bytes, size_bytes: int) -> bytes:
    return png_of(
        pictures.SIZE_PX,
        png_chunk(kind, head + zlib.compress(bytes(min(size_bytes * 900, 1 << 28)))),
    )


def _texts(size_bytes: int) -> bytes:
    """Texts that may turn the image, again and again: each inflates to 16 MiB."""
    piece = png_chunk(b"iTXt", _XMP + b"\1\0\0\0" + zlib.compress(bytes(16 << 20), 9))
    return _flood(max(size_bytes, len(piece)), piece)


def _length(size_bytes: int, declared: int) -> bytes:
    data = png_of(pictures.SIZE_PX)
    return data[:33] + struct.pack(">I", declared) + b"tEXt" + bytes(20)


def _animated(size_bytes: int) -> bytes:
    """Ten thousand frames, each of which says it has its own size."""
    count = size_bytes // 80
    control = b"".join(
        png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", i, 1, 1, 0, 0, 1, 1, 1, 0))
        + png_chunk(b"fdAT", bytes(8))
        for i in range(count)
    )
    return png_of(pictures.SIZE_PX, png_chunk(b"acTL", struct.pack(">II", count, 0)) + control)


MAKERS = {
    "empty chunks of pixels": lambda size: _flood(size, png_chunk(b"IDAT", b"")),
    "empty chunks of text": lambda size: _flood(size, png_chunk(b"tEXt", b"")),
    "empty chunks of nobody's": lambda size: _flood(size, png_chunk(b"vpAg", b"")),
    "empty chunks that are needed": lambda size: _flood(size, png_chunk(b"ABCD", b"")),
    "headers": lambda size: _flood(
        size, png_chunk(b"IHDR", struct.pack(">IIBBBBB", 46, 30, 8, 6, 0, 0, 0))
    ),
    "palettes": lambda size: _flood(size, png_chunk(b"PLTE", bytes(768))),
    "transparencies": lambda size: _flood(size, png_chunk(b"tRNS", bytes(256))),
    "EXIF again and again": lambda size: _flood(
        size, png_chunk(b"eXIf", pictures.exif_block(6)[6:])
    ),
    "EXIF bomb": lambda size: pictures.encode(
        pictures.draw_picture(), "PNG", exif=pictures.tag_bomb(5000, 120_000)
    ),
    "text that inflates": lambda size: _text(b"zTXt", b"Raw profile type exif\0\0", size),
    "XMP that inflates": lambda size: _text(b"iTXt", _XMP + b"\1\0\0\0", size),
    "XMP again and again": _texts,
    "profile that inflates": lambda size: _text(b"iCCP", b"profile\0\0", size),
    "blocks of no bytes": _empty_blocks,
    "rows beyond the last": _beyond,
    "a chunk of 2 GiB": lambda size: _length(size, 0x7FFFFFFF),
    "a chunk of 4 GiB": lambda size: _length(size, 0xFFFFFFFF),
    "frames": _animated,
    "an animation of 13,000": lambda size: pictures.animated_png_of((13_000, 12_000)),
    "64 Mi pixels that are not there": lambda size: png_of(LARGE_PX),
    "64 Mi pixels of RGBA": lambda size: _flat(6, 8, 4),
    "64 Mi pixels of 16 bits": lambda size: _flat(0, 16, 1),
    "64 Mi pixels of 16 bits and alpha": lambda size: _flat(4, 16, 2),
    "64 Mi pixels of RGBA of 16 bits": lambda size: _flat(6, 16, 4),
    "64 Mi pixels of one bit, interlaced": lambda size: _flat(0, 1, 1, 1),
    "64 Mi pixels in one row": lambda size: make_png((1 << 26, 1), 0, 8, b""),
    "64 Mi pixels in one column": lambda size: make_png((1, 1 << 26), 0, 8, b""),
    "1 Mi rows of 16 pixels": lambda size: _thin((16, 1 << 20)),
}
