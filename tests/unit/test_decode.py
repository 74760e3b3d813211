"""Decoding, against the reference: what `transformers` does with an image."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers.image_utils import load_image

from imgcls_beam.elements import ImageFacts
from tests import pictures

PICTURE = pictures.draw_picture()
ALPHA = PICTURE.copy()
ALPHA.putalpha(PICTURE.convert("L"))
PALETTE = PICTURE.quantize(60)
TURNED = [PICTURE.rotate(180), PICTURE.rotate(90)]
WIDTH_PX, HEIGHT_PX = pictures.SIZE_PX

ENCODINGS: list[tuple[str, Image.Image, dict[str, Any]]] = [
    ("JPEG", PICTURE, {}),
    ("JPEG", PICTURE, {"progressive": True, "quality": 95, "subsampling": 0}),
    ("JPEG", PICTURE.convert("L"), {}),
    ("JPEG", PICTURE.convert("CMYK"), {}),
    ("JPEG", PICTURE.convert("YCbCr"), {}),
    ("MPO", PICTURE, {"save_all": True, "append_images": TURNED}),
    ("PNG", PICTURE, {}),
    ("PNG", PICTURE.convert("1"), {}),
    ("PNG", PICTURE.convert("L"), {}),
    ("PNG", PICTURE.convert("L"), {"transparency": 7}),
    ("PNG", ALPHA.convert("LA"), {}),
    ("PNG", ALPHA, {}),
    ("PNG", PALETTE, {}),
    ("PNG", PALETTE, {"transparency": 3}),
    ("PNG", PALETTE, {"transparency": bytes(range(60))}),
    ("PNG", PICTURE, {"save_all": True, "append_images": TURNED}),
    ("WEBP", PICTURE, {}),
    ("WEBP", PICTURE, {"lossless": True}),
    ("WEBP", ALPHA, {"lossless": True}),
    ("WEBP", PICTURE, {"save_all": True, "append_images": TURNED}),
    ("GIF", PALETTE, {}),
    ("GIF", PALETTE, {"transparency": 0, "interlace": 1}),
    ("GIF", PICTURE, {"save_all": True, "append_images": TURNED}),
    ("GIF", PICTURE.convert("L"), {}),
    ("BMP", PICTURE, {}),
    ("BMP", PICTURE.convert("1"), {}),
    ("BMP", PALETTE, {}),
    ("BMP", ALPHA, {}),
    ("TIFF", PICTURE, {}),
    ("TIFF", PICTURE, {"compression": "tiff_lzw"}),
    ("TIFF", PICTURE, {"compression": "jpeg"}),
    ("TIFF", PICTURE.convert("1"), {"compression": "group4"}),
    ("TIFF", PICTURE.convert("CMYK"), {}),
    ("TIFF", PICTURE.convert("LAB"), {}),
    ("TIFF", ALPHA, {"compression": "tiff_adobe_deflate"}),
    ("TIFF", PICTURE, {"save_all": True, "append_images": TURNED}),
    ("AVIF", PICTURE, {}),
    ("AVIF", ALPHA, {}),
    ("JPEG2000", PICTURE, {}),
    ("JPEG2000", PICTURE.convert("L"), {"no_jp2": True}),
    ("PPM", PICTURE, {}),
    ("PPM", PICTURE.convert("1"), {}),
]
ORIENTED = [("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("TIFF", {}), ("AVIF", {})]
ORIENTED += [("TIFF", {"compression": "tiff_lzw"})]


def _reference(data: bytes) -> Image.Image:
    return load_image(Image.open(io.BytesIO(data)))


def _decode(data: bytes) -> Image.Image:
    return pictures.decode(data).image


@pytest.mark.parametrize(
    ("kind", "image", "options"),
    ENCODINGS,
    ids=[f"{kind}-{image.mode}-{'-'.join(options)}" for kind, image, options in ENCODINGS],
)
def test_pixels_and_facts_are_those_of_the_reference(
    kind: str, image: Image.Image, options: dict[str, Any]
) -> None:
    data = pictures.encode(image, kind, **options)
    decoded = pictures.decode(data)
    pictures.assert_equal(decoded.image, _reference(data))
    facts = decoded.facts
    assert facts == ImageFacts(
        len(data), facts.sha256, WIDTH_PX, HEIGHT_PX, "JPEG" if kind == "MPO" else kind
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "options"), ORIENTED)
def test_each_orientation_is_applied_once(
    kind: str, options: dict[str, Any], orientation: int
) -> None:
    data = pictures.encode(PICTURE, kind, exif=_exif(orientation), **options)
    decoded = pictures.decode(data)
    pictures.assert_equal(decoded.image, _reference(data))
    size = (HEIGHT_PX, WIDTH_PX) if orientation > 4 else (WIDTH_PX, HEIGHT_PX)
    assert (decoded.facts.width_px, decoded.facts.height_px) == size


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize(("kind", "image"), [("PNG", PALETTE), ("PNG", ALPHA), ("WEBP", ALPHA)])
def test_orientation_and_conversion_go_together(kind: str, image: Image.Image) -> None:
    data = pictures.encode(image, kind, exif=pictures.exif_block(6))
    pictures.assert_equal(_decode(data), _reference(data))


def test_an_orientation_in_xmp_is_applied_as_pillow_does() -> None:
    data = pictures.encode(PICTURE, "JPEG", xmp=b'<x tiff:Orientation="6"/>')
    assert _decode(data).size == (HEIGHT_PX, WIDTH_PX)
    pictures.assert_equal(_decode(data), _reference(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0garbage without an end",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        pictures.exif_block(9),
        pictures.exif_block(0),
        pictures.exif_block(6).replace(b"\x03\0\x01\0", b"\x02\0\x01\0"),
        b"Exif\0\0" + pictures.tag_bomb(1000, 60_000),
    ],
)
def test_bad_exif_turns_nothing_and_rejects_nothing(kind: str, exif: bytes) -> None:
    # The reference refuses some of these; that is a deliberate difference.
    plain = pictures.encode(PICTURE, kind)
    pictures.assert_equal(_decode(pictures.encode(PICTURE, kind, exif=exif)), _reference(plain))


def test_an_avif_with_bad_exif_is_decoded_although_pillow_refuses() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker of cameras"
    good = pictures.encode(PICTURE, "AVIF", exif=exif)
    bad = good.replace(b"MM\0*", b"XX\0*")
    with pytest.raises(ValueError, match="Exif"):
        Image.open(io.BytesIO(bad))
    pictures.assert_equal(_decode(bad), _reference(good))


# Grey of more than 8 bits: a deliberate difference

DEEP = np.arange(64 * 4, dtype=np.uint32).reshape(16, 16) * 257


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_16_bit_grey_is_scaled_and_not_turned_white(kind: str) -> None:
    data = pictures.encode(Image.fromarray(DEEP.astype(np.uint16)), kind)
    grey = np.asarray(_decode(data))[:, :, 1]
    np.testing.assert_array_equal(grey, DEEP // 257)
    assert np.asarray(_reference(data)).min(initial=255, where=(DEEP > 255)[:, :, None]) == 255
