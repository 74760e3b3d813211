"""What a decode child does with one image: encoded bytes → pixels, or the reason why not."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from imgcls_beam.elements import ImageFacts, Pixels
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.preparing.decode import DecodedImage, UndecodedImage, try_decode
from imgcls_beam.preparing.geometry import Geometry
from imgcls_beam.preparing.previews import encode_preview, shrink_image
from imgcls_beam.preparing.sizes import choose_target
from imgcls_beam.sandbox.asked_work import AskedWork
from imgcls_beam.sandbox.frames import Message

_NOT_MEASURED = ImageFacts(0, "")
"""The starter knows length and checksum of what it sends, and believes no child about them."""


class Done(NamedTuple):
    """What became of an image.

    Attributes:
        message: what is said of it.
        arrays: uint8, in the order in which the message names them: (H, W, 3) each, or the bytes
            of a small picture.
    """

    message: Message
    arrays: list[Pixels]


def prepare_apart(data: bytes, work: AskedWork, before_load: Callable[[int], None]) -> Done:
    """Decodes an image, and brings it into each geometry, or makes a small picture of it.

    Args:
        data: encoded.
        work: what is wanted.
        before_load: see `try_decode`.
    """
    if work.preview_px:
        return _draw(data, work, before_load)
    is_reducible = work.is_fast and not work.wants_image
    rules = [each.find_target for each in work.geometries]
    find_target = functools.partial(choose_target, rules) if is_reducible else None
    decoded = try_decode(data, work.options, before_load, find_target, _NOT_MEASURED)
    if isinstance(decoded, UndecodedImage):
        return _tell_undecoded(decoded)
    return _apply_all(decoded, work)


def tell_no_memory() -> Done:
    """What is said of an image for which there was not enough memory after it was decoded."""
    message = "there was not enough memory to prepare the image"
    error = ImageError(FailureCode.TOO_MUCH_MEMORY, message, retryable=True)
    return Done({"error": _tell_error(error)}, [])


def _draw(data: bytes, work: AskedWork, before_load: Callable[[int], None]) -> Done:
    decoded = shrink_image(data, work.preview_px, work.options, before_load)
    if isinstance(decoded, UndecodedImage):
        return _tell_undecoded(decoded)
    drawn = encode_preview(decoded.image)
    size = [drawn.height_px, drawn.width_px]
    results = [{"size": size, "bytes": len(drawn.jpeg)}]
    return Done({"results": results}, [np.frombuffer(drawn.jpeg, np.uint8)])


def _tell_undecoded(undecoded: UndecodedImage) -> Done:
    error = _tell_error(undecoded.error)
    return Done({**_tell_facts(undecoded.facts), "error": error}, [])


def _apply_all(decoded: DecodedImage, work: AskedWork) -> Done:
    results: list[Message] = []
    arrays: list[Pixels] = []
    for geometry in work.geometries:
        try:
            pixels = _apply(geometry, decoded, is_fast=work.is_fast)
        except ImageError as error:
            results.append({"error": _tell_error(error)})
            continue
        results.append({"size": list(pixels.shape[:2])})
        arrays.append(pixels)
    message = {**_tell_facts(decoded.facts), "results": results}
    if work.wants_image:
        pixels = np.asarray(decoded.image)
        message["image"] = {
            "size": list(pixels.shape[:2]),
            "full": list(decoded.extent.full),
            "box": list(decoded.extent.box),
        }
        arrays.append(pixels)
    return Done(message, arrays)


def _apply(geometry: Geometry, decoded: DecodedImage, *, is_fast: bool) -> Pixels:
    if is_fast:
        return geometry.apply_fast(decoded.image, decoded.extent)
    return geometry.apply(decoded.image)


def _tell_facts(facts: ImageFacts) -> Message:
    return {"width": facts.width_px, "height": facts.height_px, "format": facts.format}


def _tell_error(error: ImageError) -> Message:
    return {"code": error.code, "message": error.message, "retryable": error.retryable}
