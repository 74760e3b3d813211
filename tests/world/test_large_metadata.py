"""Good pictures with much beside the pixels: profiles, histories, prompts, comments."""

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import pictures
from tests.pictures import encode, png_chunk, with_jpeg_segments
from tests.tiffs import TiffForm, write_tiff

PICTURE = pictures.draw_picture()
BILEVEL = PICTURE.convert("1")
MIB = 1 << 20
NOISE = np.random.default_rng(0).integers(0, 4, 3 * MIB // 2, dtype=np.uint8).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">%s<rdf:D tiff:Orientation="6"/></x:xmpmeta>'
LONG_XMP = XMP % (b"<photoshop:History>%s</photoshop:History>" % (b"step " * 400_000))
XMP_KEY = b"XML:com.adobe.xmp"


def _png(*chunks: tuple[bytes, bytes], before: bytes = b"IDAT") -> bytes:
    data = encode(PICTURE, "PNG")
    at = data.index(before) - 4
    return data[:at] + b"".join(png_chunk(*chunk) for chunk in chunks) + data[at:]


def _packed(kind: bytes, key: bytes, text: bytes) -> tuple[bytes, bytes]:
    head = b"\0\1\0\0\0" if kind == b"iTXt" else b"\0\0"
    return kind, key + head + zlib.compress(text)


def _bad_checksum(data: bytes, kind: bytes) -> bytes:
    at = data.index(kind) - 4
    end = at + 8 + int.from_bytes(data[at : at + 4], "big")
    return data[:end] + bytes(4) + data[end + 4 :]


def _gif(*extensions: bytes) -> bytes:
    data = encode(PICTURE.quantize(64), "GIF", transparency=3)
    at = 13 + (3 << (data[10] & 7) + 1)
    return data[:at] + b"".join(extensions) + data[at:]


def _blocks(body: bytes) -> bytes:
    parts = (body[i : i + 255] for i in range(0, len(body), 255))
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def _jpeg(marker: int, bodies: Sequence[bytes]) -> bytes:
    return with_jpeg_segments(encode(PICTURE, "JPEG"), marker, *bodies)


def _boxed(kind: bytes, body: bytes) -> bytes:
    """A JPEG 2000 with one more box behind its type."""
    data = encode(PICTURE, "JPEG2000")
    at = 12 + int.from_bytes(data[12:16], "big")
    return data[:at] + struct.pack(">I", len(body) + 8) + kind + body + data[at:]


def _tiff(**options: Any) -> bytes:
    return encode(PICTURE, "TIFF", **options)


def _ppm(head: bytes) -> bytes:
    return head + PICTURE.tobytes()


PLAIN_PPM = b" ".join(b"%d" % value for value in PICTURE.tobytes())
SCANS = b"\xff\xda" * 30_000

FILES: dict[str, Callable[[], bytes]] = {
    "PNG, profile": lambda: encode(PICTURE, "PNG", icc_profile=NOISE),
    "PNG, profile that is a bomb": lambda: encode(PICTURE, "PNG", icc_profile=bytes(64 * MIB)),
    "PNG, zTXt": lambda: _png(_packed(b"zTXt", b"Raw profile type 8bim", bytes(2 * MIB))),
    "PNG, iTXt": lambda: _png(_packed(b"iTXt", b"workflow", b'{"n":1}' * 250_000)),
    "PNG, tEXt": lambda: _png((b"tEXt", b"parameters\0" + b"a masterpiece, " * 200_000)),
    "PNG, 100 texts": lambda: _png(*[_packed(b"zTXt", b"note", bytes(2 * MIB))] * 100),
    "PNG, texts behind": lambda: _png(_packed(b"zTXt", b"note", bytes(2 * MIB)), before=b"IEND"),
    "PNG, EXIF as text that is a bomb": lambda: _png(
        _packed(b"zTXt", b"Raw profile type exif", bytes(8 * MIB))
    ),
    "PNG, a text of a wrong checksum": lambda: _bad_checksum(_png((b"tEXt", b"a\0b")), b"tEXt"),
    "PNG, chunks that are cut": lambda: _png((b"pHYs", b"\1"), (b"cHRM", b"\1"), (b"sRGB", b"")),
    "JPEG, profile": lambda: encode(PICTURE, "JPEG", icc_profile=NOISE),
    "JPEG, comments": lambda: _jpeg(0xFE, [b"a" * 65_000] * 40),
    "JPEG, 700 segments of a profile": lambda: _jpeg(0xE2, [b"a" * 5000] * 700),
    "JPEG, 700 segments that look like scans": lambda: _jpeg(0xE2, [SCANS] * 700),
    "JPEG, Photoshop's": lambda: _jpeg(0xED, [b"Photoshop 3.0\0" + bytes(65_000)] * 40),
    "WebP, profile": lambda: encode(PICTURE, "WEBP", lossless=True, icc_profile=NOISE),
    "WebP, XMP": lambda: encode(PICTURE, "WEBP", lossless=True, xmp=bytes(3 * MIB)),
    "TIFF, profile": lambda: _tiff(icc_profile=NOISE),
    "TIFF, XMP and Photoshop's": lambda: _tiff(tiffinfo={700: NOISE, 34377: NOISE}),
    "TIFF, an application's own": lambda: _tiff(tiffinfo={50839: NOISE}, compression="tiff_lzw"),
    "GIF, comment": lambda: _gif(b"!\xfe" + _blocks(NOISE)),
    "GIF, comments": lambda: _gif(*[b"!\xfe" + _blocks(b"a" * 900)] * 3000),
    "GIF, profile": lambda: _gif(b"!\xff\x0bICCRGBG1012" + _blocks(NOISE * 4)),
    "GIF, XMP": lambda: _gif(
        b"!\xff\x0bXMP DataXMP" + LONG_XMP + b"\1" + bytes(range(255, -1, -1)) + b"\0"
    ),
    "AVIF, profile": lambda: encode(PICTURE, "AVIF", quality=100, icc_profile=NOISE),
    "JPEG 2000, XML": lambda: _boxed(b"xml ", bytes(3 * MIB)),
    "JPEG 2000, UUID": lambda: _boxed(b"uuid", NOISE),
    "PPM, comments before the size": lambda: _ppm(b"P6\n" + b"#\n" * MIB + b"46 30\n255\n"),
    "PPM, comments before the maximum": lambda: _ppm(b"P6 46 30\n#" + b"a" * MIB + b"\n255\n"),
    "PPM in digits, comments": lambda: (
        b"P3 46 30 255\n" + b"# a\n" * 20_000 + PLAIN_PPM + b"\n#" + b"b" * MIB
    ),
    "PBM, comments": lambda: b"P4\n" + b"# a\n" * 20_000 + encode(BILEVEL, "PPM")[3:],
    "PBM in digits, comments": lambda: (
        b"P1 46 30\n" + b"".join(b"# a\n%d " % (not each) for each in BILEVEL.getdata())
    ),
    "HEIF, profile": lambda: encode(PICTURE, "HEIF", quality=-1, icc_profile=NOISE),
}
WITHOUT: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: encode(PICTURE, "PNG"),
    "JPEG": lambda: encode(PICTURE, "JPEG"),
    "WebP": lambda: encode(PICTURE, "WEBP", lossless=True),
    "TIFF": _tiff,
    "GIF": _gif,
    "AVIF": lambda: encode(PICTURE, "AVIF", quality=100),
    "JPEG 2000": lambda: encode(PICTURE, "JPEG2000"),
    "PPM": lambda: encode(PICTURE, "PPM"),
    "PPM in digits": lambda: encode(PICTURE, "PPM"),
    "PBM": lambda: encode(BILEVEL, "PPM"),
    "PBM in digits": lambda: encode(BILEVEL, "PPM"),
    "HEIF": lambda: encode(PICTURE, "HEIF", quality=-1),
}


@pytest.mark.parametrize("name", FILES)
def test_the_picture_is_what_it_is_without(name: str) -> None:
    plain = pictures.decode(WITHOUT[name.partition(",")[0]]())
    pictures.assert_equal(pictures.decode(FILES[name]()).image, plain.image)


TURNED: dict[str, Callable[[], bytes]] = {
    "PNG, long XMP": lambda: _png(_packed(b"iTXt", XMP_KEY, LONG_XMP)),
    "PNG, long XMP as it is": lambda: _png((b"iTXt", XMP_KEY + bytes(5) + LONG_XMP)),
    "PNG, XMP behind": lambda: _png((b"iTXt", XMP_KEY + bytes(5) + XMP % b""), before=b"IEND"),
    "PNG, EXIF beside a profile": lambda: encode(
        PICTURE, "PNG", icc_profile=NOISE, exif=pictures.exif_block(6)
    ),
    "PNG, EXIF as text": lambda: _png(
        _packed(
            b"zTXt",
            b"Raw profile type exif",
            b"\nexif\n      32\n" + pictures.exif_block(6).hex().encode() + b"\n",
        )
    ),
    "JPEG": lambda: _turned("JPEG"),
    "WebP": lambda: _turned("WEBP", lossless=True),
    "AVIF": lambda: _turned("AVIF", quality=100),
}


def _turned(kind: str, **options: Any) -> bytes:
    return encode(PICTURE, kind, icc_profile=NOISE, exif=pictures.exif_block(6), **options)


@pytest.mark.parametrize("name", TURNED)
def test_what_turns_the_picture_is_found_beside_it(name: str) -> None:
    plain = pictures.decode(WITHOUT[name.partition(",")[0]]())
    turned = plain.image.transpose(Image.Transpose.ROTATE_270)
    pictures.assert_equal(pictures.decode(TURNED[name]()).image, turned)


def test_a_tiff_with_a_megabyte_of_numbers_in_a_tag_is_the_picture() -> None:
    pixels = np.asarray(PICTURE)
    form = TiffForm(2, tags={65_000: list(range(60_000)) * 20})
    pictures.assert_equal(pictures.decode(write_tiff(pixels, form)).image, PICTURE)


def test_a_gif_keeps_the_control_of_its_first_frame() -> None:
    """A frame smaller than its canvas: what is around it has the clear colour."""
    head = b"GIF89a\4\0\4\0\x81\0\0" + bytes(range(12))
    frame = b",\1\0\1\0\2\0\2\0\0" + b"\2\x03\x44\x02\x05\0;"
    control = b"!\xf9\4\1\0\0\2\0"
    plain = pictures.decode(head + control + frame).image
    long = head + b"!\xfe" + _blocks(NOISE) + control + b"!\xfe" + _blocks(NOISE) + frame
    pictures.assert_equal(pictures.decode(long).image, plain)
    assert plain.getpixel((0, 0)) == (6, 7, 8)
