"""An untrusted image → a small picture of it for people, within the same limits as for a model."""

import io
from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from imgcls_beam.elements import ImageFacts
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import DecodedImage, UndecodedImage, try_decode
from imgcls_beam.preparing.sizes import Within

_QUALITY = 70


class Preview(NamedTuple):
    """A small picture.

    Attributes:
        jpeg: the picture, encoded.
        width_px: of it.
        height_px: likewise.
    """

    jpeg: bytes
    width_px: int
    height_px: int


def shrink_image(
    data: bytes,
    edge_px: int,
    options: DecodeOptions,
    before_load: Callable[[int], object] = lambda size_bytes: None,
) -> DecodedImage | UndecodedImage:
    """Decodes an image as a small one: upright, the first frame, its aspect ratio as it is.

    Args:
        data: the encoded image.
        edge_px: of its longer edge at the most; a smaller image keeps its size.
        options: the limits.
        before_load: see `try_decode`.
    """
    # A JPEG comes reduced to no less than twice the target: here to two thirds of the edge, so that
    # a photograph of 500 pixels is decoded at a half of its size and needs no resize.
    target = Within((edge_px // 3, edge_px // 3))
    unmeasured = ImageFacts(len(data), sha256="")  # nobody asks for the facts of a preview
    decoded = try_decode(data, options, before_load, target, unmeasured)
    if isinstance(decoded, DecodedImage):
        decoded.image.thumbnail((edge_px, edge_px), Image.Resampling.HAMMING)
    return decoded


def encode_preview(image: Image.Image) -> Preview:
    """A small image as a JPEG."""
    written = io.BytesIO()
    image.save(written, "JPEG", quality=_QUALITY)
    return Preview(written.getvalue(), image.width, image.height)
