"""A JPEG at the smallest scale that will do for what a model resizes it to.

libjpeg gives a picture at 1/2, 1/4 and 1/8 for less than the whole takes: the mean of each square
of pixels, from the coefficients. What is left to the resize is a factor of two or more, so that its
filter still sees several pixels for each that it makes.
"""

import io
from collections.abc import Callable
from typing import NamedTuple

from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from imgcls_beam.preparing.orientation import LYING, read_orientation
from imgcls_beam.preparing.sizes import Extent, PixelBox, TargetRule

_LEAST_RATIO = 2
"""Of a reduced edge to the same edge after the resize."""
_LEAST_SCALE = 2
"""By which libjpeg reduces, if at all: an image that has too few pixels is not opened again."""

_FROM_THE_RIGHT, _FROM_BELOW = frozenset({2, 3, 6, 7}), frozenset({3, 4, 7, 8})
"""Orientations whose first row or column is the last one of the upright image."""

_MODES = ("RGB", "L")
"""Those of Pillow's that are reduced; a picture of four inks is rare."""


class Reduced(NamedTuple):
    """An image at a scale.

    Attributes:
        image: as it stands in the file, not turned upright.
        extent: of the image when it is turned upright.
    """

    image: JpegImageFile
    extent: Extent


def decode_reduced(
    data: bytes, whole: ImageFile, find_target: TargetRule, before_load: Callable[[int], object]
) -> Reduced | None:
    """Decodes a JPEG at 1/2, 1/4 or 1/8.

    Args:
        data: what a decoder may see of an image that is scalable and within the limits.
        whole: the same, opened and not loaded, which it stays.
        find_target: what the image will be resized to.
        before_load: is called with the number of pixels that are about to be decoded.

    Returns:
        None where it is needed in full, and where anything is wrong with it: the decoder of
        whole images then says what.
    """
    try:
        orientation, pixels = read_orientation(whole), whole.width * whole.height
        is_lying = orientation in LYING
        full = whole.size if is_lying else whole.size[::-1]
        target = find_target(full)
        if target is None or whole.mode not in _MODES:
            return None
        least = [edge * _LEAST_RATIO for edge in target]
        height_px, width_px = least[::-1] if is_lying else least
        if min(whole.width // width_px, whole.height // height_px) < _LEAST_SCALE:
            return None
        opened = JpegImageFile(io.BytesIO(data))
        drafted = opened.draft(None, (width_px, height_px))
        if drafted is None or opened.width * opened.height == pixels:
            return None
        # A progressive one is held in full, as coefficients, before it is scaled.
        is_held = "progressive" in opened.info
        before_load(pixels if is_held else opened.width * opened.height)
        opened.load()
    except Exception:  # noqa: BLE001  a dozen classes come out of Pillow for bad bytes
        return None
    return Reduced(opened, Extent(full, _turn(drafted[1], opened.size, orientation)))


def _turn(box: PixelBox, size: tuple[int, int], orientation: int) -> PixelBox:
    """Where a box of an image of (width, height) `size` is after the image is turned upright.

    Args:
        box: it begins in the upper left corner of the file's rows.
        size: in the file.
        orientation: of the file.
    """
    (width_px, height_px), (_, _, right, bottom) = size, box
    if orientation in LYING:
        width_px, height_px, right, bottom = height_px, width_px, bottom, right
    left = width_px - right if orientation in _FROM_THE_RIGHT else 0
    top = height_px - bottom if orientation in _FROM_BELOW else 0
    return left, top, left + right, top + bottom
