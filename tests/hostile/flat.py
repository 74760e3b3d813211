"""BMP, PPM, and bytes that are no image: what costs much there."""

import struct

from tests import pictures

LARGE_PX = (8192, 8192)


def make_bmp(size_px: tuple[int, int], bits: int, packing: int, body: bytes) -> bytes:
    colours = 256 if bits == 8 else 16 if bits == 4 else 0
    offset = 54 + 4 * colours
    header = struct.pack(
        "<IiiHHIIiiII", 40, *size_px, 1, bits, packing, len(body), 0, 0, colours, 0
    )
    head = b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + header
    return head + bytes(4 * colours) + body


def _runs(
    size_bytes: int, piece: bytes, size_px: tuple[int, int] = LARGE_PX, bits: int = 8
) -> bytes:
    """Run lengths: the piece again and again."""
    body = piece * (size_bytes // len(piece)) + b"\0\1"
    return make_bmp(size_px, bits, 1 if bits == 8 else 2, body)


def _text(size_bytes: int, head: bytes, piece: bytes) -> bytes:
    return head + piece * (size_bytes // len(piece))


MAKERS = {
    "BMP, runs of one pixel": lambda size: _runs(size, b"\1\7"),
    "BMP, runs of 4 bits": lambda size: _runs(size, b"\1\7", bits=4),
    "BMP, runs of no pixel": lambda size: _runs(size, b"\0\2\0\0"),
    "BMP, ends of rows": lambda size: _runs(size, b"\0\0", (1, 1 << 26)),
    "BMP, steps to the right": lambda size: _runs(size, b"\0\2\1\0"),
    "BMP, stretches of three": lambda size: _runs(size, b"\0\3abc\0"),
    "BMP, a step of the whole picture": lambda size: _runs(size, b"\0\2\xff\xff", (32_768, 2048)),
    "BMP, few runs of 64 Mi pixels": lambda size: _runs(1 << 19, b"\xff\7"),
    "BMP, pixels that are not there": lambda size: pictures.bmp_of(LARGE_PX),
    "BMP, a negative size": lambda size: pictures.bmp_of((-8, -(1 << 31))),
    "BMP, 64 Mi pixels of one bit": lambda size: make_bmp(
        LARGE_PX, 1, 0, bytes(LARGE_PX[0] * LARGE_PX[1] // 8)
    ),
    "PPM, text": lambda size: _text(
        size, b"P3 %d %d 255\n" % (2048, max(1, size // 2 // 3 // 2048)), b"7 "
    ),
    "PPM, text of bits": lambda size: _text(
        size, b"P1 %d %d\n" % (2048, max(1, size // 2048)), b"1"
    ),
    "PGM, text of blanks": lambda size: _text(size, b"P2 8 8 255\n", b" "),
    "PGM, text of one number": lambda size: _text(size, b"P2 8 8 255\n", b"1"),
    "PGM, text of short numbers": lambda size: _text(size, b"P2 8192 8192 255\n", b"1\n"),
    "PPM, comments": lambda size: _text(size, b"P3 46 30 255\n", b"#\n"),
    "PPM, comments between numbers": lambda size: _text(size, b"P3 2048 2048 255\n", b"1 #a\n"),
    "PPM, one comment": lambda size: _text(size, b"P3 46 30 255\n#", b"a"),
    "PPM, comments in its head": lambda size: _text(size, b"P6 ", b"#\n"),
    "PPM, 64 Mi pixels that are not there": lambda size: b"P6 8192 8192 255\n",
    "PPM, a head of digits": lambda size: _text(size, b"P6 ", b"1"),
    "PFM, 64 Mi pixels that are not there": lambda size: b"Pf 8192 8192 -1.0\n",
    "PGM of 16 bits": lambda size: b"P5 8192 8192 4095\n" + bytes(1000),
}
