"""Grey as cameras, scanners and programs write it: the same picture in each file."""

import itertools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from imgcls_beam.preparing import upright_rgb
from tests import pictures
from tests.pictures import encode, png_chunk
from tests.tiffs import TiffForm, write_tiff

PICTURE = pictures.draw_picture().convert("L")
GREY = np.asarray(PICTURE)
DEPTHS = (8, 10, 12, 14, 16)
Pixels = npt.NDArray[Any]


def _shifted(bits: int) -> Pixels:
    """The picture as a sensor of so many bits gives it."""
    return GREY.astype(np.uint16) << (bits - 8)


def _stretched(white: int) -> Pixels:
    """The picture from 0 to a white point."""
    return np.rint(GREY * (white / 255)).astype(np.uint16)


def _png(pixels: Pixels, *chunks: tuple[bytes, bytes]) -> bytes:
    data = encode(Image.fromarray(pixels), "PNG")
    return data[:33] + b"".join(itertools.starmap(png_chunk, chunks)) + data[33:]


def _pgm(pixels: Pixels, white: int) -> bytes:
    height_px, width_px = pixels.shape
    return b"P5 %d %d %d\n" % (width_px, height_px, white) + pixels.astype(">u2").tobytes()


def _plain_pgm(pixels: Pixels, white: int) -> bytes:
    height_px, width_px = pixels.shape
    values = b" ".join(b"%d" % value for value in pixels.reshape(-1))
    return b"P2 %d %d %d\n" % (width_px, height_px, white) + values + b"\n"


def _jpeg2000(pixels: Pixels, bits: int, *, is_bare: bool = False) -> bytes:
    """Pillow writes 16 bits. What is declared counts from its own middle, and nothing is lost."""
    middle = (1 << 15) - (1 << (bits - 1))
    data = bytearray(
        encode(Image.fromarray((pixels + middle).astype(np.uint16)), "JPEG2000", no_jp2=is_bare)
    )
    data[data.index(b"\xff\x51") + 40] = bits - 1
    if not is_bare:
        data[data.index(b"ihdr") + 14] = bits - 1
    return bytes(data)


def _grey_of(data: bytes) -> Pixels:
    decoded = pictures.decode(data).image
    assert decoded.mode == "RGB"
    return np.asarray(decoded)[..., 0]


def _assert_is_the_picture(data: bytes, grey: Pixels = GREY) -> None:
    np.testing.assert_array_equal(_grey_of(data), grey)


@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize(
    "make", [_shifted, lambda bits: _stretched((1 << bits) - 1)], ids=["shifted", "stretched"]
)
@pytest.mark.parametrize(
    "write",
    [
        _png,
        lambda pixels: encode(Image.fromarray(pixels), "TIFF"),
        lambda pixels: encode(Image.fromarray(pixels), "TIFF", compression="tiff_lzw"),
        lambda pixels: encode(Image.fromarray(pixels), "JPEG2000"),
        lambda pixels: encode(Image.fromarray(pixels), "PPM"),
        lambda pixels: encode(Image.fromarray(pixels.astype(np.int32)), "TIFF"),
        lambda pixels: encode(Image.fromarray(pixels.astype(np.float32)), "TIFF"),
    ],
    ids=["PNG", "TIFF", "TIFF-LZW", "JPEG2000", "PGM", "TIFF-32", "TIFF-float"],
)
def test_fewer_bits_in_a_deep_file_are_the_picture(
    bits: int, make: Callable[[int], Pixels], write: Callable[[Pixels], bytes]
) -> None:
    _assert_is_the_picture(write(make(bits)))


@pytest.mark.parametrize("bits", DEPTHS)
def test_an_opened_image_is_the_picture(bits: int) -> None:
    image = Image.fromarray(_shifted(bits))
    np.testing.assert_array_equal(np.asarray(upright_rgb(image))[..., 2], GREY)


# What the file says

DARK = GREY // 16
"""At most 15: below 8 bits in whatever it is put."""


SAID: dict[str, tuple[bytes, Pixels]] = {
    "PNG, 16 significant bits": (_png(_shifted(8) // 16, (b"sBIT", b"\x10")), GREY * 0),
    "PNG, 12 bits, dark": (_png(_shifted(12) // 4, (b"sBIT", b"\x0c")), GREY // 4),
    "PNG, 14 bits, dark": (_png(_shifted(14) // 4, (b"sBIT", b"\x0e")), GREY // 4),
    # Above the bits that it declares: scaled up to 16, as the standard says.
    "PNG, 10 bits, scaled up": (_png(_shifted(14), (b"sBIT", b"\x0a")), GREY // 4),
    "PGM, 12 bits, dark": (_pgm(_shifted(8), 4095), DARK),
    "PGM up to 1000": (_pgm(_stretched(1000), 1000), GREY),
    "PGM in digits up to 300": (_plain_pgm(_stretched(300), 300), GREY),
    "PGM in digits up to 1023": (_plain_pgm(_shifted(10), 1023), GREY),
    "PGM, 8 bits in 16": (_pgm(_shifted(8), 65_535), GREY),
    "JPEG 2000, 12 bits": (_jpeg2000(_shifted(12), 12, is_bare=True), GREY),
    "JPEG 2000, 10 bits": (_jpeg2000(_shifted(10), 10), GREY),
    "JPEG 2000, 12 bits, dark": (_jpeg2000(_shifted(8), 12), DARK),
}


@pytest.mark.parametrize("name", SAID)
def test_the_file_says_what_is_white(name: str) -> None:
    _assert_is_the_picture(*SAID[name])


INT_8 = np.clip(GREY, 0, 127)
TAGGED: dict[str, tuple[Pixels, TiffForm, Pixels]] = {
    "12 bits, dark": (_shifted(8), TiffForm(bits=12), DARK),
    "12 bits, big-endian": (_shifted(12), TiffForm(bits=12, is_big=True, is_packed=True), GREY),
    "MaxSampleValue": (_shifted(8), TiffForm(bits=16, tags={281: 4095}), DARK),
    "SMaxSampleValue": (_shifted(8), TiffForm(bits=16, tags={341: 4095}), DARK),
    "both": (_shifted(8), TiffForm(bits=16, tags={281: 65_535, 341: 4095}), DARK),
    "up to 3000": (_stretched(3000), TiffForm(bits=16, tags={281: 3000}), GREY),
    "up to 3000, big-endian tiles": (
        _stretched(3000),
        TiffForm(bits=16, tags={281: 3000}, is_big=True, is_tiled=True),
        GREY,
    ),
    "a maximum that is exceeded": (_shifted(16), TiffForm(bits=16, tags={281: 255}), GREY),
    "signed": (GREY.astype(np.int16) << 7, TiffForm(bits=16, number=2), GREY),
    "signed, below 0": (
        GREY.astype(np.int16) - 9,
        TiffForm(bits=16, number=2, is_big=True, is_packed=True),
        np.maximum(GREY, 9) - 9,
    ),
    "32 bits": (GREY.astype(np.int64) << 24, TiffForm(bits=32), GREY),
    "32 bits, big-endian": (GREY.astype(np.int64) << 24, TiffForm(bits=32, is_big=True), GREY),
    "32 bits, signed": (GREY.astype(np.int64) << 23, TiffForm(bits=32, number=2), GREY),
    "float": (
        GREY / np.float32(255),
        TiffForm(bits=32, number=3, is_big=True, is_packed=True),
        GREY,
    ),
    "8 bits, signed": (INT_8, TiffForm(number=2), np.rint(INT_8 * (255 / 127)).astype(np.uint8)),
}


@pytest.mark.parametrize("name", TAGGED)
def test_the_tags_of_a_tiff_say_what_is_white(name: str) -> None:
    pixels, form, grey = TAGGED[name]
    _assert_is_the_picture(write_tiff(pixels, form), grey)


# Where 0 is white


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
@pytest.mark.parametrize("is_big", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("is_tiled", [False, True], ids=["strips", "tiles"])
@pytest.mark.parametrize("is_packed", [False, True], ids=["raw", "packed"])
def test_white_is_zero_is_the_picture(
    bits: int, is_big: bool, is_tiled: bool, is_packed: bool
) -> None:
    pixels = _stretched((1 << bits) - 1)
    layout = {"bits": bits, "is_big": is_big, "is_tiled": is_tiled, "is_packed": is_packed}
    black = write_tiff(pixels, TiffForm(photometric=1, **layout))
    white = write_tiff((1 << bits) - 1 - pixels, TiffForm(photometric=0, **layout))
    np.testing.assert_array_equal(_grey_of(white), _grey_of(black))
    if bits >= 8:
        _assert_is_the_picture(white)


@pytest.mark.parametrize("white", [255, 1023, 4095, 16_383, 65_535])
@pytest.mark.parametrize("turned_at", ["its own white", "65,535"])
def test_white_is_zero_with_fewer_bits_in_16(white: int, turned_at: str) -> None:
    zero = white if turned_at == "its own white" else 65_535
    data = write_tiff(zero - _stretched(white), TiffForm(photometric=0, bits=16))
    _assert_is_the_picture(data)


TURNED: dict[str, tuple[Pixels, TiffForm]] = {
    "signed": (
        32_767 - (GREY.astype(np.int16) << 7),
        TiffForm(0, bits=16, number=2, is_big=True),
    ),
    "float": (1 - GREY / np.float32(255), TiffForm(0, bits=32, number=3)),
    "32 bits": (
        ((255 - GREY).astype(np.int64) << 24) + 0xFFFFFF,
        TiffForm(0, bits=32, is_big=True),
    ),
    "bits the other way": (255 - GREY, TiffForm(0, is_reversed=True)),
    "8 bits that declare a maximum": (255 - GREY, TiffForm(0, tags={281: 250, 341: 300})),
    "up to 3000": (3000 - _stretched(3000), TiffForm(0, bits=16, tags={281: 3000})),
}


@pytest.mark.parametrize("name", TURNED)
def test_white_is_zero_of_other_numbers(name: str) -> None:
    _assert_is_the_picture(write_tiff(*TURNED[name]))


def test_white_is_zero_in_an_opened_image(tmp_path: Any) -> None:
    for bits in (8, 16):
        data = write_tiff((1 << bits) - 1 - _stretched((1 << bits) - 1), TiffForm(0, bits=bits))
        (tmp_path / "a.tif").write_bytes(data)
        with Image.open(tmp_path / "a.tif") as image:
            np.testing.assert_array_equal(np.asarray(upright_rgb(image))[..., 0], GREY)


# Grey with alpha, and other layouts that Pillow misreads


@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize("lace", [0, 1])
def test_deep_grey_with_alpha_is_the_picture(bits: int, lace: int) -> None:
    alpha = np.full_like(_shifted(bits), 0x1234)
    samples = np.stack([_shifted(bits), alpha], axis=-1).astype(">u2")
    _assert_is_the_picture(pictures.png_of_samples(samples, 4, lace))


COLOUR = np.asarray(pictures.draw_picture())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("is_big", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("is_tiled", [False, True], ids=["strips", "tiles"])
@pytest.mark.parametrize("is_packed", [False, True], ids=["raw", "packed"])
@pytest.mark.parametrize("more", [0, 1])
def test_channels_that_lie_apart_are_the_picture(
    bits: int, is_big: bool, is_tiled: bool, is_packed: bool, more: int
) -> None:
    pixels = COLOUR.astype(np.uint16) * (1 if bits == 8 else 257)
    tags = {338: [2]} if more else {}
    pixels = np.concatenate([pixels, *[pixels[..., :1]] * more], axis=-1)
    form = TiffForm(2, bits, 1, is_big, is_tiled, is_packed, is_planar=True, tags=tags)
    pictures.assert_equal(pictures.decode(write_tiff(pixels, form)).image, Image.fromarray(COLOUR))


@pytest.mark.parametrize("is_tiled", [False, True], ids=["strips", "tiles"])
@pytest.mark.parametrize("is_packed", [False, True], ids=["raw", "packed"])
@pytest.mark.parametrize("is_planar", [False, True], ids=["together", "apart"])
def test_ycbcr_without_a_jpeg_is_the_picture(
    is_tiled: bool, is_packed: bool, is_planar: bool
) -> None:
    pixels = np.asarray(Image.fromarray(COLOUR).convert("YCbCr"))
    tags = {530: [1, 1]}
    form = TiffForm(6, 8, 1, False, is_tiled, is_packed, is_planar, tags=tags)
    decoded = np.asarray(pictures.decode(write_tiff(pixels, form)).image).astype(int)
    assert np.abs(decoded - COLOUR).mean() < 2


def test_a_plain_image_is_not_touched() -> None:
    """The upper bits of 16 of colour, the reference's own; so grey and colour are alike."""
    deep = np.random.default_rng(3).integers(0, 65_536, (30, 40), dtype=np.uint16)
    grey = _grey_of(_png(deep))
    colour = pictures.png_of_samples(np.stack([deep] * 3, axis=-1).astype(">u2"), 2)
    np.testing.assert_array_equal(grey, _grey_of(colour))
    assert struct.unpack(">H", deep[:1, :1].astype(">u2").tobytes())[0] >> 8 == grey[0, 0]
