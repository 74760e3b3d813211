"""Resize and crop as the model's image processor does them, on uint8 pixels.

The arithmetic that follows in the reference (rescale, normalise) is the same for every image, so it
is left to the model's device, once per batch. What comes out here is equal, grey level by grey
level, to `transformers`' Pillow processors, whose steps are: Pillow's resize, numpy's centre crop.
"""

import dataclasses
import math

import numpy as np
from PIL import Image

from imgcls_beam.elements import Pixels
from imgcls_beam.errors import FailureCode, ImageError

_STRIP_PIXELS = 4 << 20
"""A resize works in strips of so many pixels: 16 MB, for Pillow keeps four bytes of each."""

_MAX_RESIZED_PIXELS = 256 << 20
"""Of an image before its crop. 4,096 × 1 becomes so many at an edge of 256, in up to 4 s; a JPEG
of 1 × 65,500 would take minutes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Geometry:
    """Resize, then centre crop.

    Attributes:
        size: (height, width) in pixels to which every image is warped; or None.
        shortest_edge_px: where there is no `size`: the shorter edge after the resize; the other
            follows the image's aspect ratio.
        crop: (height, width) in pixels of the centre crop; None for no crop. An image that is
            smaller is padded with black.
        resample: Pillow's filter.
    """

    size: tuple[int, int] | None
    shortest_edge_px: int | None
    crop: tuple[int, int] | None
    resample: Image.Resampling

    def apply(self, image: Image.Image) -> Pixels:
        """Geometry of one image.

        Args:
            image: mode RGB, upright.

        Returns:
            uint8 (H, W, 3), RGB.

        Raises:
            ImageError: it is too long and thin to be resized by its shorter edge.
        """
        height_px, width_px = self._resized_size(image)
        crop_height_px, crop_width_px = self.crop or (height_px, width_px)
        rows = _centre_span(height_px, crop_height_px)
        columns = _centre_span(width_px, crop_width_px)
        visible = _resize_visible(image, (height_px, width_px), (rows, columns), self.resample)
        if visible.shape[:2] == (crop_height_px, crop_width_px):
            return visible
        return _pad(visible, (crop_height_px, crop_width_px))

    def _resized_size(self, image: Image.Image) -> tuple[int, int]:
        if self.size is not None:
            return self.size
        assert self.shortest_edge_px is not None
        return resize_shortest_edge(image, self.shortest_edge_px, _MAX_RESIZED_PIXELS)


def resize_shortest_edge(image: Image.Image, edge_px: int, max_pixels: int) -> tuple[int, int]:
    """(height, width) of an image whose shorter edge becomes `edge_px`.

    Raises:
        ImageError: it would have more than `max_pixels`.
    """
    long_px = int(edge_px * max(image.size) / min(image.size))
    if edge_px * long_px > max_pixels:
        message = f"{image.width} × {image.height} pixels are too long and thin to be resized"
        raise ImageError(FailureCode.UNPREPARABLE, message)
    return (long_px, edge_px) if image.width <= image.height else (edge_px, long_px)


def _centre_span(size_px: int, crop_px: int) -> tuple[int, int]:
    """What of a resized edge stays visible: [start, end)."""
    start_px = max(0, (size_px - crop_px) // 2)
    return start_px, min(size_px, start_px + crop_px)


def _resize_visible(
    image: Image.Image,
    size: tuple[int, int],
    spans: tuple[tuple[int, int], tuple[int, int]],
    resample: Image.Resampling,
) -> Pixels:
    """The visible part of a resized image.

    Pillow resizes the width, rounds to 8 bits, then resizes the height; rows do not know each
    other in the first pass, nor columns in the second. So each pass can run in strips and keep
    only what the crop keeps, with the same result: a 3000 × 1 image, which becomes 768,000 × 256
    before its crop, would else take 590 MB.
    """
    (height_px, width_px), (rows, columns) = size, spans
    if rows == (0, height_px) and columns == (0, width_px):
        return np.asarray(image.resize((width_px, height_px), resample))
    if image.height > image.width * 100 and height_px < image.height:  # Pillow turns these round
        tall = _resize_height(image, height_px, rows, resample)
        return np.asarray(_resize_width(tall, width_px, columns, resample))
    wide = _resize_width(image, width_px, columns, resample)
    return np.asarray(_resize_height(wide, height_px, rows, resample))


def _resize_height(
    image: Image.Image, height_px: int, span: tuple[int, int], resample: Image.Resampling
) -> Image.Image:
    turned = image.transpose(Image.Transpose.TRANSPOSE)
    resized = _resize_width(turned, height_px, span, resample)
    return resized.transpose(Image.Transpose.TRANSPOSE)


def _resize_width(
    image: Image.Image, width_px: int, span: tuple[int, int], resample: Image.Resampling
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


def _pad(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Black around an image that is smaller; the odd pixel goes above and to the left."""
    padded = np.zeros((*size, 3), pixels.dtype)
    top_px = math.ceil((size[0] - pixels.shape[0]) / 2)
    left_px = math.ceil((size[1] - pixels.shape[1]) / 2)
    padded[top_px : top_px + pixels.shape[0], left_px : left_px + pixels.shape[1]] = pixels
    return padded
