"""An untrusted image → a small JPEG for people, within the same limits as for a model."""

import functools
import io

from PIL import Image

from imgcls_beam.elements import ImageFacts
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import UndecodedImage, try_decode
from imgcls_beam.preparing.prepare import lend_memory, wait_if_large
from imgcls_beam.preparing.sizes import Within

_QUALITY = 70


def draw_preview(data: bytes, edge_px: int, options: DecodeOptions) -> tuple[bytes, int, int]:
    """Draws a small picture: upright, the first frame, its aspect ratio as it is.

    Args:
        data: the encoded image.
        edge_px: of its longer edge at the most; a smaller image keeps its size.
        options: the limits.

    Returns:
        A JPEG, its width and its height in pixels.

    Raises:
        ImageError: it cannot be decoded.
    """
    # A JPEG comes reduced to no less than twice the target: here to two thirds of the edge, so that
    # a photograph of 500 pixels is decoded at a half of its size and needs no resize.
    target = Within((edge_px // 3, edge_px // 3))
    with lend_memory() as turn:
        wait = functools.partial(wait_if_large, turn)
        unmeasured = ImageFacts(len(data), sha256="")  # nobody asks for the facts of a preview
        decoded = try_decode(data, options, wait, target, unmeasured)
        if isinstance(decoded, UndecodedImage):
            raise decoded.error
        image = decoded.image
        image.thumbnail((edge_px, edge_px), Image.Resampling.HAMMING)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue(), image.width, image.height
