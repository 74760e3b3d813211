"""Palettes as programs of every age write them: the same picture."""

import numpy as np
import pytest
from PIL import Image

from tests import pictures
from tests.tiffs import TiffForm, write_tiff

PICTURE = pictures.draw_picture()
_PALETTE_PHOTOMETRIC, _COLOR_MAP = 3, 320


def _palette_tiff(colours: int, factor: int, **layout: bool) -> tuple[bytes, Image.Image]:
    """The picture in so many colours, whose map holds each level times a factor."""
    image = PICTURE.quantize(colours)
    bits = (colours - 1).bit_length()
    levels = np.zeros((1 << bits, 3), int)
    given = np.reshape(image.getpalette(), (-1, 3))[: 1 << bits]
    levels[: len(given)] = given
    tags = {_COLOR_MAP: (levels.T.reshape(-1) * factor).tolist()}
    form = TiffForm(_PALETTE_PHOTOMETRIC, bits, tags=tags, **layout)
    return write_tiff(np.asarray(image), form), image.convert("RGB")


@pytest.mark.parametrize("factor", [1, 256, 257], ids=["8 bits", "upper bits", "16 bits"])
@pytest.mark.parametrize("colours", [2, 4, 16, 256])
@pytest.mark.parametrize("is_big", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("is_packed", [False, True], ids=["raw", "packed"])
def test_a_colour_map_of_any_depth_is_the_picture(
    factor: int, colours: int, is_big: bool, is_packed: bool
) -> None:
    data, picture = _palette_tiff(colours, factor, is_big=is_big, is_packed=is_packed)
    pictures.assert_equal(pictures.decode(data).image, picture)


def test_a_colour_map_with_one_level_above_8_bits_is_of_16() -> None:
    """libtiff's rule: a dark one of 16 bits is told by any entry that 8 bits do not hold."""
    colour_map = [0, 200, 0, 200, 0, 256]
    form = TiffForm(_PALETTE_PHOTOMETRIC, 1, tags={_COLOR_MAP: colour_map})
    decoded = pictures.decode(write_tiff(np.array([[0, 1]]), form)).image
    assert np.asarray(decoded).tolist() == [[[0, 0, 0], [0, 0, 1]]]


def test_a_colour_map_that_is_black_stays_black() -> None:
    form = TiffForm(_PALETTE_PHOTOMETRIC, 1, tags={_COLOR_MAP: [0] * 6})
    decoded = pictures.decode(write_tiff(np.array([[0, 1]]), form)).image
    assert not np.asarray(decoded).any()


def test_a_colour_map_in_a_picture_without_a_palette_is_not_looked_at() -> None:
    pixels = np.asarray(PICTURE)
    data = write_tiff(pixels, TiffForm(2, tags={_COLOR_MAP: [0, 1]}))
    pictures.assert_equal(pictures.decode(data).image, PICTURE)
