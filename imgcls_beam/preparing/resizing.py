"""Pillow's resize, of which only the middle is wanted, in bounded memory."""

import numpy as np
from PIL import Image

from imgcls_beam.preparing.sizes import CentreRule, Size, centre_down

_STRIP_PIXELS = 4 << 20
"""A resize works in strips of so many pixels: 16 MB, for Pillow keeps four bytes of each."""

_Span = tuple[int, int]


def resize_centre(
    image: Image.Image,
    size: Size,
    crop: Size,
    resample: Image.Resampling,
    centre: CentreRule = centre_down,
) -> Image.Image:
    """The centre of a resized image, at most `crop` large.

    Pillow resizes the width, rounds to 8 bits, then resizes the height; rows do not know each
    other in the first pass, nor columns in the second. So each pass can run in strips and keep
    only what the crop keeps, with the same result: a 3000 × 1 image, which becomes 768,000 × 256
    before its crop, would else take 590 MB.
    """
    rows, columns = (_find_span(*edges, centre) for edges in zip(size, crop, strict=True))
    if rows == (0, size[0]) and columns == (0, size[1]):
        return image.resize((size[1], size[0]), resample)
    if size[1] * max(size[0], image.height) <= _STRIP_PIXELS:  # each pass would be one strip
        resized = image.resize((size[1], size[0]), resample)
        return resized.crop((columns[0], rows[0], columns[1], rows[1]))
    if image.height > image.width * 100 and size[0] < image.height:  # Pillow turns these round
        return _resize_width(
            _resize_height(image, size[0], rows, resample), size[1], columns, resample
        )
    return _resize_height(_resize_width(image, size[1], columns, resample), size[0], rows, resample)


def _find_span(size_px: int, crop_px: int, centre: CentreRule) -> _Span:
    """What of an edge a centre crop keeps: [start, end)."""
    start_px = max(0, centre(size_px - crop_px))
    return start_px, min(size_px, start_px + crop_px)


def _resize_height(
    image: Image.Image, height_px: int, span: _Span, resample: Image.Resampling
) -> Image.Image:
    turned = image.transpose(Image.Transpose.TRANSPOSE)
    resized = _resize_width(turned, height_px, span, resample)
    return resized.transpose(Image.Transpose.TRANSPOSE)


def _resize_width(
    image: Image.Image, width_px: int, span: _Span, resample: Image.Resampling
) -> Image.Image:
    step_px = max(1, _STRIP_PIXELS // width_px)
    strips = [
        image.crop((0, top_px, image.width, min(image.height, top_px + step_px)))
        .resize((width_px, min(image.height, top_px + step_px) - top_px), resample)
        .crop((span[0], 0, span[1], min(image.height, top_px + step_px) - top_px))
        for top_px in range(0, image.height, step_px)
    ]
    if len(strips) == 1:
        return strips[0]
    return Image.fromarray(np.concatenate([np.asarray(strip) for strip in strips]))
