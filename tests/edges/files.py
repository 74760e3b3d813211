"""Files that Pillow reads and does not write, byte by byte, and damaged ones."""

import base64
import struct
import zlib
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageCms

from tests import pictures
from tests.edges.case import PHOTO
from tests.pictures import JPEG2000_OF_16_BITS, png_chunk
from tests.tiffs import TiffForm, write_tiff

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_ADAM7 = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4)),
    *((0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
)
"""First row and column of each pass, and the steps to the next ones."""

ALPHA = PHOTO.convert("RGBA")
ALPHA.putalpha(PHOTO.convert("L"))
GREY_16_LEVELS = np.asarray(PHOTO.convert("L")).astype(np.uint16) * 257
GREY_16 = Image.fromarray(GREY_16_LEVELS)
GREY_32 = Image.fromarray(np.asarray(PHOTO.convert("L")).astype(np.int32) * 257)
GREY_RATIO = Image.fromarray(np.asarray(PHOTO.convert("L")).astype(np.float32) / 255)


def png_of(size_px: tuple[int, int], bits: int, colour: int, rows: bytes, lace: int = 0) -> bytes:
    """A PNG of given rows, each after its filter byte.

    Args:
        size_px: width and height.
        bits: of a sample.
        colour: PNG's colour type, e.g. 0 for grey and 2 for RGB.
        rows: as they are compressed.
        lace: 1 for an interlaced one.
    """
    header = struct.pack(">IIBBBBB", *size_px, bits, colour, 0, 0, lace)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return _PNG_HEAD + b"".join(png_chunk(kind, body) for kind, body in chunks)


def png_16_bit_rgb() -> bytes:
    samples = np.random.default_rng(0).integers(0, 256, (6, 8 * 6), dtype=np.uint8)
    return png_of((8, 6), 16, 2, b"".join(b"\0" + row.tobytes() for row in samples))


def png_interlaced() -> bytes:
    grey = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    passes = [grey[top::down, left::right] for top, left, down, right in _ADAM7]
    rows = b"".join(b"\0" + row.tobytes() for each in passes for row in each)
    return png_of((8, 8), 8, 0, rows, lace=1)


def png_with(kind: bytes, body: bytes, image: Image.Image = PHOTO) -> bytes:
    """A PNG with one more chunk before its pixels."""
    data = pictures.encode(image, "PNG")
    at = data.index(b"IDAT") - 4
    return data[:at] + png_chunk(kind, body) + data[at:]


def png_with_bad_checksum() -> bytes:
    data = bytearray(pictures.encode(PHOTO, "PNG"))
    data[data.index(b"IDAT") + 30] ^= 1
    return bytes(data)


def jpeg_with(marker: bytes, offset: int, value: int) -> bytes:
    """A JPEG of CMYK with one byte changed, so far behind the beginning of a mark."""
    data = bytearray(pictures.encode(PHOTO.convert("CMYK"), "JPEG"))
    data[data.index(marker) + offset] = value
    return bytes(data)


def jpeg_with_thumbnail() -> bytes:
    """Its EXIF holds another JPEG."""
    small = pictures.encode(PHOTO.resize((16, 12)).rotate(90), "JPEG")
    first = struct.pack("<HHHLHH", 1, 0x0112, 3, 1, 1, 0) + struct.pack("<L", 26)
    tags = struct.pack("<HHLL", 0x0201, 4, 1, 56) + struct.pack("<HHLL", 0x0202, 4, 1, len(small))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + first + struct.pack("<H", 2) + tags + bytes(4) + small
    return pictures.encode(PHOTO, "JPEG", exif=exif)


def gif_with_local_palette() -> bytes:
    data = pictures.encode(PHOTO.quantize(64), "GIF")
    flags = data[10]
    table, rest = data[13 : 13 + (6 << (flags & 7))], data[13 + (6 << (flags & 7)) :]
    at = rest.index(b",\0\0\0\0") + 9
    head = data[:10] + bytes([flags & 0x70]) + data[11:13]
    return head + rest[:at] + bytes([rest[at] | 0x80 | flags & 7]) + table + rest[at + 1 :]


def bmp_of(
    size_px: tuple[int, int], bits: int, compression: int, body: bytes, palette: bytes = b""
) -> bytes:
    """A BMP of given pixels; a negative height counts rows from the top."""
    start = 54 + len(palette)
    head = b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start)
    sizes = struct.pack("<IiiHHII", 40, *size_px, 1, bits, compression, len(body))
    return head + sizes + struct.pack("<iiII", 0, 0, len(palette) // 4, 0) + palette + body


def bmp_of_runs() -> bytes:
    """RLE8: two runs a row."""
    palette = bytes(level for i in range(256) for level in (i, 255 - i, i // 2, 0))
    rows = [bytes([4, 10 * y, 4, 255 - 10 * y, 0, 0]) for y in range(8)]
    return bmp_of((8, 8), 8, 1, b"".join(rows) + b"\0\1", palette)


def tiff_big_endian() -> bytes:
    """Grey, 4 × 4."""
    tags = [(256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 122), (277, 1), (278, 4)]
    entries = [
        struct.pack(">HHIHH", number, 3, 1, value, 0) for number, value in [*tags, (279, 16)]
    ]
    return b"MM\0*" + struct.pack(">IH", 8, 9) + b"".join(entries) + bytes(4) + bytes(range(16))


def tiff_of_grey(photometric: int, bits: int, **form: Any) -> bytes:
    """The photograph in grey; floating point up to 1."""
    white = 1 if form.get("number") == 3 else (1 << bits) - 1
    levels = np.asarray(PHOTO.convert("L")) * (white / 255)
    return write_tiff(
        levels if photometric else white - levels, TiffForm(photometric, bits, **form)
    )


def tiff_with_channels_apart() -> bytes:
    pixels = np.asarray(PHOTO).astype(np.uint16) * 257
    return write_tiff(pixels, TiffForm(2, 16, is_planar=True))


def tiff_with_palette_of_8_bits() -> bytes:
    image = PHOTO.quantize(256)
    levels = np.reshape(image.getpalette(), (256, 3)).T.reshape(-1)
    return write_tiff(np.asarray(image), TiffForm(3, tags={320: levels.tolist()}))


def tiff_of_ycbcr() -> bytes:
    """In tiles, as they are."""
    pixels = np.asarray(PHOTO.convert("YCbCr"))
    return write_tiff(pixels, TiffForm(6, is_tiled=True, tags={530: [1, 1]}))


def tiff_of_cielab_apart() -> bytes:
    return write_tiff(np.asarray(PHOTO), TiffForm(8, is_planar=True))


def raw_with_a_small_picture() -> bytes:
    """A directory that says it is a reduced picture, and where others are."""
    return write_tiff(np.asarray(PHOTO.resize((16, 12))), TiffForm(2, tags={254: 1, 330: 8}))


def png_16_bit_grey_and_alpha() -> bytes:
    samples = np.stack([GREY_16_LEVELS, GREY_16_LEVELS[::-1]], axis=-1).astype(">u2")
    return pictures.png_of_samples(samples, 4)


def pgm_up_to_1000() -> bytes:
    levels = np.rint(np.asarray(PHOTO.convert("L")) * (1000 / 255)).astype(">u2")
    return b"P5 %d %d 1000\n" % PHOTO.size + levels.tobytes()


def png_with_long_text() -> bytes:
    return png_with(b"zTXt", b"note\0\0" + zlib.compress(bytes(2 << 20)))


def jpeg2000_with_long_box() -> bytes:
    data = pictures.encode(PHOTO, "JPEG2000")
    return data[:32] + struct.pack(">I", (2 << 20) + 8) + b"xml " + bytes(2 << 20) + data[32:]


def jpeg2000_of_16_bits() -> bytes:
    return base64.b64decode(JPEG2000_OF_16_BITS)


def jpeg2000_of_4_bits() -> bytes:
    """What is packed counts from the middle of the range, whatever the range is."""
    levels = np.asarray(PHOTO.convert("L")) >> 4
    data = bytearray(pictures.encode(Image.fromarray(levels + (128 - 8)), "JPEG2000"))
    data[data.index(b"\xff\x51") + 40] = 3
    return bytes(data)


def jpeg2000_of_bgr() -> bytes:
    data = pictures.encode(ALPHA, "JPEG2000")
    at = data.index(b"cdef") + 6
    return data[:at] + struct.pack(">9H", 0, 0, 3, 1, 0, 2, 2, 0, 1) + data[at + 18 :]


def psd_of_rgb() -> bytes:
    """2 × 2, uncompressed."""
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 2, 2, 8, 3)
    return head + bytes(14) + bytes(range(12))


def avif_with_bad_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "a maker of cameras"
    return pictures.encode(PHOTO, "AVIF", exif=exif).replace(b"MM\0*", b"XX\0*")


def exif_with(*tags: tuple[int, int, bytes]) -> bytes:
    """An EXIF block of one directory.

    Args:
        *tags: number, TIFF type, and four bytes: the one value.
    """
    entries = [struct.pack("<HHL", number, kind, 1) + value for number, kind, value in tags]
    head = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    return head + b"".join(entries) + bytes(4)


def colour_profile(space: Literal["sRGB", "XYZ"]) -> bytes:
    """An ICC profile of a colour space."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


def draw_noise(size_px: tuple[int, int]) -> Image.Image:
    """Of any size, were it one pixel high."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size_px[::-1], 3), dtype=np.uint8)
    return Image.fromarray(pixels)
