"""Small pictures of untrusted images, which are decoded where all are: in the decode box."""

import contextlib
import functools
from collections.abc import Sequence

from imgcls_beam.errors import ImageError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import UndecodedImage
from imgcls_beam.preparing.prepare import lend_memory, wait_if_large
from imgcls_beam.preparing.previews import Preview, encode_preview, shrink_image
from imgcls_beam.sandbox.asked_work import plan_preview
from imgcls_beam.sandbox.boxed_preparing import IN_PROCESS, blame, make_errand
from imgcls_beam.sandbox.child_process import ChildEndedError
from imgcls_beam.sandbox.own_box import find_box, find_state
from imgcls_beam.sandbox.told_answers import read_previews

Drawn = Preview | ImageError | OSError
"""A small picture, or why there is none: because of the image, or as no child can be started."""


def draw_all_in_box(images: Sequence[bytes], edge_px: int, options: DecodeOptions) -> list[Drawn]:
    """Draws small pictures of images that go to a child in one message.

    The child has as long for all of them as for one. Where it does not come to their end, each is
    drawn alone: none costs another its picture.

    Args:
        images: encoded.
        edge_px: see `draw_in_box`.
        options: likewise.

    Raises:
        ConfigError: the sandbox that is required cannot be had here.
    """
    if len(images) > 1 and find_state(options).where == "child":
        with contextlib.suppress(ChildEndedError, OSError), lend_memory() as turn:
            take = functools.partial(read_previews, edge_px=edge_px)
            errand = make_errand(images, plan_preview(edge_px, options), options, turn)
            return list(find_box(options).try_once(errand, take))
    return [_try_to_draw(each, edge_px, options) for each in images]


def _try_to_draw(data: bytes, edge_px: int, options: DecodeOptions) -> Drawn:
    try:
        return draw_in_box(data, edge_px, options)
    except (ImageError, OSError) as error:
        return error


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
        return _draw_apart(data, edge_px, options)
    with IN_PROCESS, lend_memory() as turn:
        wait = functools.partial(wait_if_large, turn)
        decoded = shrink_image(data, edge_px, options, wait)
    if isinstance(decoded, UndecodedImage):
        raise decoded.error
    return encode_preview(decoded.image)


def _draw_apart(data: bytes, edge_px: int, options: DecodeOptions) -> Preview:
    take = functools.partial(read_previews, edge_px=edge_px)
    with lend_memory() as turn:
        errand = make_errand((data,), plan_preview(edge_px, options), options, turn)
        try:
            (drawn,) = find_box(options).run(errand, take)
        except ChildEndedError as ended:
            raise blame(ended, options) from ended
    if isinstance(drawn, ImageError):
        raise drawn
    return drawn
