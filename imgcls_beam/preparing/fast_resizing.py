"""A resize of a large image that first averages whole squares of its pixels.

It is Pillow's, so whoever prepares images needs nothing else, and one process gives the same pixels
as another.
"""

from PIL import Image

from imgcls_beam.preparing.sizes import PixelBox, Size

_REDUCING_GAP = 2.0
"""Squares are averaged as far as the filter still sees so many pixels for each that it makes."""


def resize_fast(
    image: Image.Image, size: Size, resample: Image.Resampling, box: PixelBox
) -> Image.Image:
    """A part of an image, at (height, width) `size`.

    Args:
        image: of mode RGB.
        size: of the result.
        resample: Pillow's filter.
        box: the part, which is all but less than a pixel of each edge.
    """
    width_height = size[1], size[0]
    if image.size == width_height:
        return image
    return image.resize(width_height, resample, box, _REDUCING_GAP)
