"""What a decode child says of an image, read as what it is: the word of one that may be hostile.

It is JSON of a few known fields. Numbers are numbers within their bounds, texts are short and have
no control characters, pixels are as many as a size says, a small picture is a JPEG as this process
would have written it. Length and checksum of the encoded image are not asked of it. Whatever is
otherwise is a `ValueError`, `TypeError` or `KeyError`.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from imgcls_beam.elements import ImageFacts, Pixels
from imgcls_beam.errors import STAGE_OF, FailureCode, ImageError, Stage
from imgcls_beam.preparing.decode import DecodedImage
from imgcls_beam.preparing.formats import FORMATS
from imgcls_beam.preparing.previews import Preview, is_encoded_here
from imgcls_beam.preparing.sizes import Extent, PixelBox, Size
from imgcls_beam.sandbox.frames import Message
from imgcls_beam.sandbox.shared_slot import SharedSlot

_MAX_COUNT = (1 << 31) - 1
_MAX_CHARS = 400
_CODES = {*(code for code, stage in STAGE_OF.items() if stage is Stage.PREPARE), FailureCode.EMPTY}
_BY_BOX_ONLY = {FailureCode.CRASHED, FailureCode.TIMEOUT}


class Told(NamedTuple):
    """What became of an image.

    Attributes:
        facts: of the image; length and checksum are not among them.
        took_s: decoding and geometry.
        error: why it is not decoded; None where it is.
        results: for each geometry that was asked for.
        image: the upright image, where it was asked for.
    """

    facts: ImageFacts
    took_s: float
    error: ImageError | None
    results: Sequence[Pixels | ImageError]
    image: DecodedImage | None


def read_answer(message: Message, slot: SharedSlot, geometries: int, *, wants_image: bool) -> Told:
    """Reads an answer, and copies the pixels.

    Args:
        message: what the child says.
        slot: where it has put the pixels.
        geometries: how many were asked for.
        wants_image: whether the image was.
    """
    took_s = message["took_s"]
    if type(took_s) is not float or not 0 <= took_s < math.inf:
        raise ValueError("no time")
    facts = _read_facts(message)
    if "error" in message:
        return Told(facts, took_s, _read_error(message["error"]), (), None)
    results: list[Pixels | ImageError] = []
    start = 0
    for each in message["results"]:
        if "error" in each:
            results.append(_read_error(each["error"]))
            continue
        pixels = _take_pixels(slot, start, _read_size(each["size"]))
        start += pixels.nbytes
        results.append(pixels)
    if len(results) != geometries:
        raise ValueError("other results than were asked for")
    image = _read_image(message["image"], slot, start, facts) if wants_image else None
    return Told(facts, took_s, None, results, image)


def read_previews(
    messages: Sequence[Message], slot: SharedSlot, edge_px: int
) -> list[Preview | ImageError]:
    """Reads the answers to several images of which small pictures were asked, and copies these.

    Args:
        messages: what the child says, one for each image.
        slot: where it has put the pictures.
        edge_px: of their longer edge at the most.
    """
    found: list[Preview | ImageError] = []
    start = 0
    for each in messages:
        if "error" in each:
            found.append(_read_error(each["error"]))
            continue
        (told,) = each["results"]
        (height_px, width_px), length = _read_size(told["size"]), _read_count(told["bytes"])
        drawn = Preview(slot.take(start, length), width_px, height_px)
        if max(height_px, width_px) > edge_px or not is_encoded_here(drawn):
            raise ValueError("no small picture")
        found.append(drawn)
        start += length
    return found


def _read_facts(message: Message) -> ImageFacts:
    facts = ImageFacts(0, "")
    name, edges = message.get("format"), (message.get("width"), message.get("height"))
    if name is not None:
        facts = dataclasses.replace(facts, format=name if name in FORMATS else _refuse())
    if edges != (None, None):
        width_px, height_px = _read_size(edges)
        facts = dataclasses.replace(facts, width_px=width_px, height_px=height_px)
    return facts


def _read_error(told: Message) -> ImageError:
    code, message, retryable = FailureCode(told["code"]), told["message"], told["retryable"]
    is_text = isinstance(message, str) and len(message) <= _MAX_CHARS and message.isprintable()
    if code not in _CODES - _BY_BOX_ONLY or not is_text or not isinstance(retryable, bool):
        raise ValueError("no error")
    return ImageError(code, message, retryable=retryable)


def _read_size(told: Any) -> Size:  # noqa: ANN401
    first, second = told
    return _read_count(first), _read_count(second)


def _read_count(told: Any) -> int:  # noqa: ANN401
    if type(told) is not int or not 0 < told <= _MAX_COUNT:
        raise ValueError("no number of pixels or bytes")
    return told


def _read_image(told: Message, slot: SharedSlot, start: int, facts: ImageFacts) -> DecodedImage:
    height_px, width_px = _read_size(told["size"])
    pixels = slot.take(start, height_px * width_px * 3)
    image = Image.frombytes("RGB", (width_px, height_px), pixels)
    extent = Extent(_read_size(told["full"]), _read_box(told["box"], image))
    return DecodedImage(image, facts, extent)


def _read_box(told: Any, image: Image.Image) -> PixelBox:  # noqa: ANN401
    left, top, right, bottom = told
    for low, high, edge_px in ((left, right, image.width), (top, bottom, image.height)):
        if not all(type(each) in (int, float) for each in (low, high)):
            raise TypeError("no box")
        if not 0 <= low < high <= edge_px:
            raise ValueError("no box")
    return left, top, right, bottom


def _take_pixels(slot: SharedSlot, start: int, size: Size) -> Pixels:
    taken = slot.take(start, size[0] * size[1] * 3)
    return np.frombuffer(taken, np.uint8).reshape(*size, 3)


def _refuse() -> str:
    raise ValueError("no format")
