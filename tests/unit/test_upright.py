"""Images that callers have opened or made, and grey of more than 8 bits."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.preparing.decode import upright_rgb
from tests import pictures

PICTURE = pictures.draw_picture()
ALPHA = PICTURE.copy()
ALPHA.putalpha(PICTURE.convert("L"))
PALETTE = PICTURE.quantize(60)


@pytest.mark.parametrize(
    ("mode", "values", "grey"),
    [
        ("I;16", [0, 255, 256, 65_535], [0, 0, 1, 255]),
        ("I;16B", [0, 257, 32_768, 65_535], [0, 1, 128, 255]),
        ("I", [-5, 0, 100, 255], [0, 0, 100, 255]),
        ("I;16", [0, 1, 100, 255], [0, 1, 100, 255]),
        ("I;16", [0, 3, 4, 1023], [0, 0, 1, 255]),
        ("I;16", [0, 16, 2048, 4095], [0, 1, 128, 255]),
        ("I;16", [0, 64, 9_000, 16_383], [0, 1, 140, 255]),
        ("I", [-5, 0, 257, 65_535], [0, 0, 1, 255]),
        ("I", [0, 512, 65_536, 131_071], [0, 1, 128, 255]),
        ("I", [0, 256, 1 << 30, 2**31 - 1], [0, 0, 128, 255]),
        ("F", [0.0, 0.5, 1.0, -1.0], [0, 128, 255, 0]),
        ("F", [0.0, 1.5, 254.9, 255.0], [0, 1, 254, 255]),
        ("F", [-0.1, 0.5, 1.0, 1.02], [0, 128, 255, 255]),
        ("F", [0.0, 257.0, 300.0, 65_535.0], [0, 1, 1, 255]),
        ("F", [0.0, 16.0, 2048.5, 4095.0], [0, 1, 128, 255]),
        ("F", [0.0, 1e6, 2e6, 4e6], [0, 64, 128, 255]),
        ("F", [float("nan"), float("inf"), float("-inf"), 1.0], [0, 255, 0, 255]),
        ("F", [0.0, 0.0, 0.0, float("nan")], [0, 0, 0, 0]),
    ],
)
def test_deep_grey_follows_the_table(mode: str, values: list[float], grey: list[int]) -> None:
    forms = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4", "F": "<f4"}
    raw = np.array(values, np.float64).astype(forms[mode]).tobytes()
    image = Image.frombytes(mode, (4, 1), raw)
    assert np.asarray(upright_rgb(image)).tolist() == [[[level] * 3 for level in grey]]


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"]
)
def test_an_image_in_memory_is_converted_as_pillow_does(mode: str) -> None:
    image = PICTURE.convert("RGBA" if mode == "LA" else "RGB").convert(mode)
    pictures.assert_equal(upright_rgb(image), image.convert("RGB"))


@pytest.mark.parametrize("mode", ["PA", "RGBa"])
def test_an_image_of_a_rare_mode_is_converted_as_pillow_does(mode: str) -> None:
    image = ALPHA.convert(mode)
    pictures.assert_equal(upright_rgb(image), image.convert("RGB"))


def test_premultiplied_grey_is_converted_although_pillow_refuses() -> None:
    image = ALPHA.convert("LA").convert("La")
    pictures.assert_equal(upright_rgb(image), image.convert("LA").convert("RGB"))


def test_an_rgb_image_comes_back_without_a_copy() -> None:
    assert upright_rgb(PICTURE) is PICTURE


def test_the_callers_image_is_left_as_it_is() -> None:
    image = Image.open(io.BytesIO(pictures.encode(PALETTE, "PNG", transparency=3)))
    image.getexif()[0x0112] = 6
    before = (image.size, image.mode, dict(image.info), image.tobytes())
    upright = upright_rgb(image)
    assert (image.size, image.mode, dict(image.info), image.tobytes()) == before
    assert image.getexif()[0x0112] == 6
    pictures.assert_equal(upright, ImageOps.exif_transpose(image).convert("RGB"))


def test_a_callers_image_that_cannot_be_loaded_is_an_image_error() -> None:
    image = Image.open(io.BytesIO(pictures.encode(PICTURE, "PNG")[:400]))
    with pytest.raises(ImageError) as caught:
        upright_rgb(image)
    assert caught.value.code is FailureCode.TRUNCATED
