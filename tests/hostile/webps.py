"""WebPs that cost much."""

import functools
import struct

from PIL import Image

from tests import pictures

LARGE_PX = (8192, 8192)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def canvas(size_px: tuple[int, int], flags: int = 0) -> tuple[bytes, bytes]:
    edges = b"".join((edge_px - 1).to_bytes(3, "little") for edge_px in size_px)
    return b"VP8X", bytes([flags, 0, 0, 0]) + edges


@functools.cache
def _small(lossless: bool) -> tuple[bytes, bytes]:
    data = pictures.encode(pictures.draw_picture(), "WEBP", lossless=lossless)
    return data[12:16], data[20:]


@functools.cache
def _flat(lossless: bool) -> bytes:
    image = Image.new("RGB", LARGE_PX, (7, 70, 170))
    return pictures.encode(image, "WEBP", lossless=lossless, method=0)


def _flood(size_bytes: int, kind: bytes, body: bytes = b"") -> bytes:
    count = size_bytes // (8 + len(body))
    return riff(canvas(pictures.SIZE_PX, 0x2C), *[(kind, body)] * count, _small(False))


def _frames(size_bytes: int, size_px: tuple[int, int]) -> bytes:
    """Frames of an animation, each of the same picture."""
    kind, data = _small(True)
    inner = kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    edges = b"".join((edge_px - 1).to_bytes(3, "little") for edge_px in pictures.SIZE_PX)
    frame = bytes(6) + edges + bytes(4) + inner
    count = max(2, size_bytes // (8 + len(frame)))
    return riff(canvas(size_px, 2), (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * count)


class _Bits:
    """Bits from the lowest on."""

    def __init__(self) -> None:
        self._value, self._count, self._bytes = 0, 0, bytearray()

    def put(self, value: int, count: int) -> None:
        self._value |= value << self._count
        self._count += count
        while self._count >= 8:
            self._bytes.append(self._value & 255)
            self._value >>= 8
            self._count -= 8

    def finish(self) -> bytes:
        return bytes(self._bytes) + bytes([self._value])


def _groups(size_bytes: int) -> bytes:
    """As many groups of prefix codes as a picture of 1,024² can name: a table each."""
    edge, groups = 1024, 65_535
    bits = _Bits()
    bits.put(0x2F, 8)
    bits.put(edge - 1, 14)
    bits.put(edge - 1, 14)
    bits.put(0, 1 + 3)
    bits.put(0, 1)  # no transform
    bits.put(0, 1)  # no colour cache
    bits.put(1, 1)  # a picture that names the groups
    bits.put(0, 3)  # a group for each 4 × 4 pixels
    bits.put(0, 1)  # its own colour cache
    for channel in range(5):  # its own codes: two channels of 8 bits each, in full
        if channel in (0, 1):
            _put_flat_code(bits, 280 if channel == 0 else 256)
        else:
            _put_one_symbol(bits, 0)
    for index in range((edge // 4) ** 2):
        number = min(index, groups)
        bits.put(_reverse(number & 255), 8)
        bits.put(_reverse(number >> 8), 8)
    for _ in range(groups + 1):
        for _ in range(5):
            _put_one_symbol(bits, 1)
    bits.put(0, 32)
    data = bits.finish()
    return riff((b"VP8L", data))


def _reverse(value: int) -> int:
    return int(f"{value:08b}"[::-1], 2)


def _put_one_symbol(bits: _Bits, symbol: int) -> None:
    bits.put(1, 1)
    bits.put(0, 1)
    bits.put(0, 1)
    bits.put(symbol, 1)


def _put_flat_code(bits: _Bits, symbols: int) -> None:
    """A code of 8 bits for each of the first 256 symbols, none for others."""
    order = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    lengths = {8: 1, 0: 1}
    bits.put(0, 1)
    bits.put(12 - 4, 4)
    for each in order[:12]:
        bits.put(lengths.get(each, 0), 3)
    bits.put(1, 1)  # how many symbols there are
    bits.put(3, 3)  # in 8 bits
    bits.put(256 - 2, 8)
    for _ in range(256):
        bits.put(1, 1)  # 8 is the higher of the two codes


MAKERS = {
    "34 bytes, lossless": lambda size: pictures.webp_lossless_of(LARGE_PX),
    "34 bytes, a canvas": lambda size: pictures.webp_extended_of(LARGE_PX),
    "34 bytes, lossless, 16,383": lambda size: pictures.webp_lossless_of((16_383, 16_383)),
    "64 Mi pixels, lossless": lambda size: _flat(True),
    "64 Mi pixels": lambda size: _flat(False),
    "a canvas of 16 million": lambda size: riff(canvas((1 << 24, 1 << 24)), _small(True)),
    "a canvas larger than its picture": lambda size: riff(canvas(LARGE_PX), _small(True)),
    "a canvas smaller than its picture": lambda size: riff(
        canvas((1, 1)), (b"VP8L", pictures.webp_lossless_of(LARGE_PX)[20:])
    ),
    "frames": lambda size: _frames(size, pictures.SIZE_PX),
    "frames on a large canvas": lambda size: _frames(size, LARGE_PX),
    "empty chunks": lambda size: _flood(size, b"abcd"),
    "EXIF again and again": lambda size: _flood(size, b"EXIF", pictures.exif_block(6)),
    "EXIF bomb": lambda size: _flood(1 << 17, b"EXIF", pictures.tag_bomb(5000, 120_000)),
    "a profile": lambda size: _flood(size, b"ICCP", bytes(max(0, size - 8))),
    "XMP": lambda size: _flood(size, b"XMP ", b" " * max(0, size - 8)),
    "groups of codes": _groups,
    "no end": lambda size: riff((b"VP8L", pictures.webp_lossless_of(LARGE_PX)[20:]))[:-4],
}
