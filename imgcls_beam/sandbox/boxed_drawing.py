"""A small picture of an untrusted image, which is decoded where all are: in the decode box."""

import functools

from PIL import Image

from imgcls_beam.errors import ImageError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import UndecodedImage
from imgcls_beam.preparing.prepare import lend_memory, wait_if_large
from imgcls_beam.preparing.previews import Preview, encode_preview, shrink_image
from imgcls_beam.sandbox.asked_work import plan_preview
from imgcls_beam.sandbox.boxed_preparing import IN_PROCESS, ask_box
from imgcls_beam.sandbox.own_box import find_state


def draw_in_box(data: bytes, edge_px: int, options: DecodeOptions) -> Preview:
    """Draws a small picture: upright, the first frame, its aspect ratio as it is.

    Args:
        data: the encoded image.
        edge_px: of its longer edge at the most; a smaller image keeps its size.
        options: the limits, and where to decode.

    Raises:
        ImageError: it cannot be decoded, or has ended who did.
        ConfigError: the sandbox that is required cannot be had here.
        OSError: no child can be started any more.
    """
    if find_state(options).where == "child":
        return encode_preview(_shrink_apart(data, edge_px, options))
    with IN_PROCESS, lend_memory() as turn:
        wait = functools.partial(wait_if_large, turn)
        decoded = shrink_image(data, edge_px, options, wait)
    if isinstance(decoded, UndecodedImage):
        raise decoded.error
    return encode_preview(decoded.image)


def _shrink_apart(data: bytes, edge_px: int, options: DecodeOptions) -> Image.Image:
    with lend_memory() as turn:
        told = ask_box(data, plan_preview(edge_px, options), options, turn, results=1)
    if told.error is not None:
        raise told.error
    (pixels,) = told.results
    if isinstance(pixels, ImageError):
        raise pixels
    return Image.fromarray(pixels)
