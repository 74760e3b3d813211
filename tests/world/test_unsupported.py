"""Sound images that are not decoded here have a code of their own, and are called by their name."""

import base64
import io
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps, features

from imgcls_beam.errors import FailureCode
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing import formats
from imgcls_beam.preparing.decode import UndecodedImage, try_decode
from imgcls_beam.preparing.inspecting import jpeg
from tests import pictures
from tests.pictures import encode
from tests.tiffs import TiffForm, write_tiff

PICTURE = pictures.draw_picture()
COLOUR = np.asarray(PICTURE)
GREY = COLOUR[..., 0]
FIVE = np.concatenate([COLOUR, COLOUR[..., :2]], axis=-1)


def _refuse(data: bytes) -> tuple[FailureCode, str]:
    outcome = try_decode(data, DecodeOptions())
    assert isinstance(outcome, UndecodedImage)
    return outcome.error.code, outcome.error.message


def _jpeg(kind: int = 0xC0, bits: int = 8, channels: int = 3) -> bytes:
    data = bytearray(encode(PICTURE, "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4], data[at + 9] = kind, bits, channels
    return bytes(data)


def _tiff(pixels: Any, photometric: int, **form: Any) -> bytes:
    return write_tiff(pixels, TiffForm(photometric, **form))


def _bmp(bits: int, compression: int, masks: bytes = b"") -> bytes:
    body = masks + bytes(46 * 30 * 8)
    sizes = struct.pack("<IiiHHII", 40, *pictures.SIZE_PX, 1, bits, compression, len(body))
    head = struct.pack("<IHHI", 54 + len(body), 0, 0, 54 + len(masks))
    return b"BM" + head + sizes + bytes(16) + body


def _jpeg2000(offset: int, value: int, mark: bytes = b"\xff\x51") -> bytes:
    data = bytearray(encode(PICTURE, "JPEG2000"))
    data[data.index(mark) + offset] = value
    return bytes(data)


def _jpeg2000_of_channels(count: int) -> bytes:
    """Its header says so many, and is as long as that takes; the packed pixels stay three."""
    data = bytearray(encode(PICTURE, "JPEG2000"))
    at = data.index(b"\xff\x51")
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    one, more = data[end - 3 : end], count - 3
    data[at + 2 : at + 4] = struct.pack(">H", 38 + 3 * count)
    data[at + 38 : at + 40] = struct.pack(">H", count)
    data[end:end] = one * more
    return bytes(data)


def _jpeg2000_with_palette(bits: int) -> bytes:
    """One colour of three channels."""
    data = bytearray(encode(PICTURE.convert("L"), "JPEG2000"))
    body = b"pclr\0\1\3" + bytes([bits - 1] * 3) + bytes(3 * bits // 8)
    box = struct.pack(">I", len(body) + 4) + body
    at = data.index(b"colr") - 4
    data[at:at] = box
    data[35] += len(box)  # of the box around it
    return bytes(data)


KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "JPEG-LS": (lambda: _jpeg(0xF7), "JPEG-LS"),
    "JPEG of 12 bits": (lambda: _jpeg(bits=12), "a JPEG of 12 bits"),
    "JPEG of 12 bits, progressive": (lambda: _jpeg(0xC2, 12), "a JPEG of 12 bits"),
    "JPEG, lossless of 16 bits": (lambda: _jpeg(0xC3, 16), "a JPEG of 16 bits"),
    "JPEG, hierarchical": (lambda: _jpeg(0xC5), "a hierarchical JPEG"),
    "JPEG, lossless arithmetic": (lambda: _jpeg(0xCB), "a lossless, arithmetic-coded JPEG"),
    "JPEG of two channels": (lambda: _jpeg(channels=2), "a JPEG of 2 channels"),
    "TIFF, CMYK and alpha": (
        lambda: _tiff(FIVE, 5, tags={338: 2}),
        "a TIFF of CMYK, 5 × 8 bits",
    ),
    "TIFF, float16": (
        lambda: _tiff(GREY / np.float32(255), 1, bits=16, number=3),
        "a TIFF of grey, 16 bits, floating point",
    ),
    "TIFF, float64": (
        lambda: _tiff(GREY / 255, 1, bits=64, number=3, is_big=True),
        "a TIFF of grey, 64 bits, floating point",
    ),
    "TIFF, RGB of float32": (
        lambda: _tiff(COLOUR / np.float32(255), 2, bits=32, number=3, is_packed=True),
        "a TIFF of RGB, 3 × 32 bits, floating point",
    ),
    "TIFF, RGB of 32 bits": (lambda: _tiff(COLOUR, 2, bits=32), "a TIFF of RGB, 3 × 32 bits"),
    "TIFF, grey of 10 bits": (lambda: _tiff(GREY, 1, bits=10), "a TIFF of grey, 10 bits"),
    "TIFF, grey of 16 bits and alpha": (
        lambda: _tiff(COLOUR[..., :2], 1, bits=16, tags={338: 2}),
        "a TIFF of grey, 2 × 16 bits",
    ),
    "TIFF, CIELAB apart": (
        lambda: _tiff(COLOUR, 8, is_planar=True),
        "a TIFF of CIELAB in separate planes",
    ),
    "TIFF, inks": (
        lambda: _tiff(FIVE[..., :4], 5, tags={332: 2}),
        "a TIFF of inks other than CMYK",
    ),
    "TIFF, JPEG 2000 inside": (
        lambda: _tiff(COLOUR, 2, tags={259: 34712}),
        "a TIFF of RGB, 3 × 8 bits, JPEG 2000 inside",
    ),
    "TIFF, JPEG XL inside": (
        lambda: _tiff(COLOUR, 2, tags={259: 50002}),
        "a TIFF of RGB, 3 × 8 bits, JPEG XL inside",
    ),
    "TIFF, LERC inside": (
        lambda: _tiff(GREY, 1, tags={259: 34887}),
        "a TIFF of grey, 8 bits, LERC inside",
    ),
    "DNG": (lambda: _tiff(COLOUR, 2, tags={50706: [1, 4, 0, 0]}), "a camera's raw file (DNG)"),
    "NEF": (lambda: _tiff(COLOUR, 2, tags={254: 1, 330: 8}), "a camera's raw file"),
    "CR2": (
        lambda: b"II*\0\x10\0\0\0CR\2\0\0\0\0\0" + b"\0\0" + bytes(40),
        "a camera's raw file (CR2)",
    ),
    "PEF": (
        lambda: _tiff(GREY, 32803, bits=16, tags={259: 65_535}),
        "a TIFF of a sensor's mosaic, 16 bits, Pentax's raw inside",
    ),
    "a sensor's mosaic": (
        lambda: _tiff(GREY, 32803, bits=16),
        "a TIFF of a sensor's mosaic, 16 bits",
    ),
    "BMP of 64 bits": (lambda: _bmp(64, 0), "a BMP of 64 bits, uncompressed,"),
    "BMP, a JPEG inside": (lambda: _bmp(24, 4), "a BMP of 24 bits, a JPEG inside,"),
    "BMP of 10 bits a channel": (
        lambda: _bmp(32, 3, struct.pack("<3I", 0x3FF00000, 0xFFC00, 0x3FF)),
        "a BMP of 32 bits, bit fields,",
    ),
    "PNG of an iPhone": (
        lambda: (
            pictures.png_of((8, 8))[:8]
            + pictures.png_chunk(b"CgBI", b"\x50\0\x20\x02")
            + pictures.png_of((8, 8))[8:]
        ),
        "a PNG as iPhones keep it (CgBI)",
    ),
    "JPEG 2000 of five channels": (lambda: _jpeg2000_of_channels(5), "a JPEG 2000 of 5 channels"),
    "JPEG 2000, a deep palette": (
        lambda: _jpeg2000_with_palette(16),
        "a JPEG 2000 with a palette of more than 8 bits",
    ),
    "JPEG 2000, CIELAB": (lambda: _jpeg2000(10, 14, b"colr"), "a JPEG 2000 of CIELAB"),
    "HEIF, another codec": (
        lambda: encode(PICTURE, "HEIF").replace(b"hvc1", b"xvc1"),
        "a HEIF of another codec than HEVC",
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_that_is_not_decoded_is_unsupported(name: str) -> None:
    make, phrase = KINDS[name]
    assert _refuse(make()) == (FailureCode.UNSUPPORTED, f"{phrase} is not decoded here")


FORMATS: dict[str, bytes] = {
    "JPEG XL": b"\xff\x0a\xfa\x1f\x41",
    "JPEG XL in a box": b"\0\0\0\x0cJXL \r\n\x87\n",
    "JPEG XR": b"II\xbc\x01 \0\0\0",
    "Canon raw (CR3)": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "Canon raw (CRW)": b"II\x1a\0\0\0HEAPCCDR",
    "Fujifilm raw (RAF)": b"FUJIFILMCCD-RAW 0201FF383501",
    "Minolta raw (MRW)": b"\0MRM\0\0\0\0",
    "Olympus raw (ORF)": b"IIRO\x08\0\0\0",
    "Panasonic raw (RW2)": b"IIU\0\x18\0\0\0",
    "Sigma raw (X3F)": b"FOVb\0\0\2\0",
    "PAM": b"P7\nWIDTH 4\n",
    "PFM in colour": b"PF\n4 4\n-1.0\n",
    "Radiance HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n",
    "DICOM": bytes(128) + b"DICM\2\0\0\0UL",
    "DjVu": b"AT&TFORM\0\0\1\0DJVU",
    "Photoshop": b"8BPS\0\1",
    "TGA": encode(PICTURE, "TGA"),
    "ICO": encode(PICTURE, "ICO"),
    "GIMP": b"gimp xcf v011\0",
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_that_is_not_decoded_is_unsupported(name: str) -> None:
    code, message = _refuse(FORMATS[name])
    assert code is FailureCode.UNSUPPORTED
    assert message.startswith(
        f"{name.removesuffix(' in a box')} images are not decoded; decoded are "
    )


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """What is installed is asked once in a process."""
    caches = (formats._find_missing, jpeg._find_turbo)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_heic_without_the_extra_names_it(monkeypatch: pytest.MonkeyPatch, asked_anew: None) -> None:
    monkeypatch.setattr(formats, "find_heif", lambda: False)
    code, message = _refuse(encode(PICTURE, "HEIF"))
    assert code is FailureCode.UNSUPPORTED
    assert message == "HEIF images are decoded with an extra: pip install 'imgcls_beam[heic]'"


@pytest.mark.parametrize(("kind", "feature"), [("AVIF", "avif"), ("WEBP", "webp")])
def test_what_pillow_was_built_without_is_unsupported(
    monkeypatch: pytest.MonkeyPatch, asked_anew: None, kind: str, feature: str
) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != feature)
    code, message = _refuse(encode(PICTURE, kind))
    assert code is FailureCode.UNSUPPORTED
    assert message == f"{kind} images are decoded by a Pillow that was built with {feature}"


@pytest.mark.parametrize(
    ("kind", "version", "phrase"),
    [(0xC3, "2.1.5", "a lossless JPEG"), (0xC9, None, "an arithmetic-coded JPEG")],
)
def test_a_jpeg_that_an_old_library_cannot_decode_is_unsupported(
    monkeypatch: pytest.MonkeyPatch,
    asked_anew: None,
    kind: int,
    version: str | None,
    phrase: str,
) -> None:
    monkeypatch.setattr(features, "version_feature", lambda name: version)
    assert _refuse(_jpeg(kind)) == (FailureCode.UNSUPPORTED, f"{phrase} is not decoded here")


DAMAGED: dict[str, tuple[Callable[[], bytes], FailureCode]] = {
    "TIFF, no such colour": (lambda: _tiff(COLOUR, 77), FailureCode.CORRUPT),
    "TIFF, no such compression": (lambda: _tiff(GREY, 1, tags={259: 77}), FailureCode.CORRUPT),
    "TIFF, bad deflate": (
        lambda: _tiff(GREY, 1, is_packed=True).replace(b"\x78\x9c", b"\xff\xff"),
        FailureCode.CORRUPT,
    ),
    "TIFF, float, cut": (
        lambda: _tiff(COLOUR / np.float32(255), 2, bits=32, number=3)[:2000],
        FailureCode.TRUNCATED,
    ),
    "TIFF, 0 is white, signed, bad deflate": (
        lambda: _tiff(GREY.astype(int), 0, bits=16, number=2, is_packed=True).replace(
            b"\x78\x9c", b"\xff\xff"
        ),
        FailureCode.CORRUPT,
    ),
    "BMP, no pixels": (lambda: pictures.bmp_of((46, 30)), FailureCode.TRUNCATED),
    "BMP, no such compression": (lambda: _bmp(24, 77), FailureCode.CORRUPT),
    "JPEG, damaged": (lambda: _jpeg(0xC3), FailureCode.CORRUPT),
    "PNG, no such colour": (
        lambda: pictures.png_of_samples(COLOUR, 5),
        FailureCode.CORRUPT,
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_stays_so(name: str) -> None:
    make, code = DAMAGED[name]
    assert _refuse(make())[0] is code


# Rare, and decoded

GRADIENT = np.add.outer(np.arange(12) * 3, np.arange(16) * 14)
RARE = {
    "lossless": (
        "/9j/xAAWAAEBAQAAAAAAAAAAAAAAAAACBAj/wwALCAAMABABABEA/9oACAEAAAYAAM/3XXXXXXXXXXXXXXNJJJJJ"
        "JJNJJJJJJJNJJJJJJJNJJJJJJJNJJJJJJJNJJJJJJJNJJJJJJJNJJJJJJJNJJJJJJJNJJJJJJJNJJJJJJJD/2Q=="
    ),
    "arithmetic-coded": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4R"
        "DgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/yQALCAAMABABAREA/8wABgAQEAX/2gAIAQEAAD8A/wDcs+pMAhLyfiJy"
        "IXgpyrFxwGjzJHl0sKkqr8D/2Q=="
    ),
    "arithmetic-coded, progressive": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4R"
        "DgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/ygALCAAMABABAREA/8wABAAQ/9oACAEBAAAAAf8AuVkSC89kwP/MAAQQ"
        "Bf/aAAgBAQABBQIWQm+j7mWqVID/zAAEEAX/2gAIAQEABj8CHMrw/8wABBAF/9oACAEBAAE/IR9VUoD/2gAIAQEA"
        "AAAQwP/MAAQQBf/aAAgBAQABPxAkW8bL3P/Z"
    ),
}
"""JPEGs that Pillow does not write: by imagecodecs and jpegtran."""


@pytest.mark.parametrize("name", RARE)
def test_a_rare_jpeg_is_the_picture(name: str) -> None:
    decoded = np.asarray(pictures.decode(base64.b64decode(RARE[name])).image)
    most = 0 if name == "lossless" else 4
    assert np.abs(decoded[..., 0].astype(int) - GRADIENT).max() <= most


# HEIC, with the extra

ROWS, COLUMNS = np.mgrid[0:30, 0:46]
SMOOTH = Image.fromarray(
    np.stack([COLUMNS * 5, ROWS * 8, COLUMNS * 2 + ROWS * 3], axis=-1).astype(np.uint8)
)
"""Its colours change slowly: HEVC keeps one for each four pixels."""


def _assert_is_close(decoded: Image.Image, expected: Image.Image) -> None:
    assert (decoded.mode, decoded.size) == ("RGB", expected.size)
    ours, theirs = (np.asarray(each).astype(int) for each in (decoded, expected))
    assert np.abs(ours - theirs).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = pictures.decode(encode(SMOOTH, "HEIF", quality=-1, exif=exif.tobytes()))
    turned = Image.open(io.BytesIO(encode(SMOOTH, "PNG", exif=exif)))
    _assert_is_close(decoded.image, ImageOps.exif_transpose(turned))
    facts = decoded.facts
    assert (facts.width_px, facts.height_px, facts.format) == (*decoded.image.size, "HEIF")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_heic_of_any_mode_is_the_picture(mode: str) -> None:
    image = SMOOTH.convert(mode)
    decoded = pictures.decode(encode(image, "HEIF", quality=-1)).image
    _assert_is_close(decoded, image.convert("RGB"))


def test_a_heic_of_several_images_is_its_first() -> None:
    several, buffer = pillow_heif.from_pillow(SMOOTH), io.BytesIO()
    several.add_from_pillow(SMOOTH.rotate(180))
    several.save(buffer, quality=-1)
    _assert_is_close(pictures.decode(buffer.getvalue()).image, SMOOTH)


@pytest.mark.parametrize("kept", [0.05, 0.3, 0.8, 0.99])
def test_a_heic_that_is_cut_is_truncated(kept: float) -> None:
    data = encode(PICTURE, "HEIF")
    assert _refuse(data[: int(len(data) * kept)])[0] is FailureCode.TRUNCATED


def test_a_heic_that_declares_many_pixels_is_refused_before_it_is_opened() -> None:
    data = encode(PICTURE, "HEIF").replace(
        struct.pack(">II", 64, 64), struct.pack(">II", *[20_000] * 2)
    )
    assert _refuse(data)[0] is FailureCode.TOO_MANY_PIXELS
