"""One image through decoding, once, and the geometry of one model or of several."""

import functools
import time
from collections.abc import Sequence

from PIL import Image

from imgcls_beam.byte_budget import ByteBudget, Loan
from imgcls_beam.elements import (
    EncodedImage,
    Failure,
    ImageFacts,
    ImageRef,
    ModelInputs,
    PixelArray,
)
from imgcls_beam.errors import ImageError
from imgcls_beam.memory import give_back_unused
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import DecodedImage, UndecodedImage, try_decode, upright_rgb
from imgcls_beam.preparing.decode_memory import DECODING_BYTES, HUGE_BYTES, LARGE_BYTES
from imgcls_beam.preparing.processors import Preparer
from imgcls_beam.preparing.sizes import Extent, choose_target
from imgcls_beam.scoring import Preprocess

_DECODING = ByteBudget(DECODING_BYTES)


def prepare_for_models(
    encoded: EncodedImage, preparers: Sequence[Preparer], options: DecodeOptions
) -> list[PixelArray | Failure]:
    """Decodes an untrusted image once, and brings it into the geometry of each model.

    Returns:
        One result for each preparer, in order: an image that one model's processor cannot take may
        do for another. Preparers that make the same of every image share theirs. The `prepare_ms`
        of each holds the decoding.
    """
    start_s = time.thread_time()
    with lend_memory() as turn:
        is_fast = options.preprocess == "fast"
        rules = [preparer.find_target for preparer in preparers] if is_fast else ()
        find_target = functools.partial(choose_target, rules) if rules else None
        wait = functools.partial(wait_if_large, turn)
        decoded = try_decode(encoded.data, options, wait, find_target)
        if isinstance(decoded, UndecodedImage):
            return [_to_failure(encoded, decoded.error, decoded.facts)] * len(preparers)
        decode_s = time.thread_time() - start_s
        distinct = {preparer.identity: preparer for preparer in preparers}
        results = {
            identity: apply_preparer(encoded, decoded, preparer, decode_s, is_fast)
            for identity, preparer in distinct.items()
        }
    return [results[preparer.identity] for preparer in preparers]


def apply_preparer(
    encoded: EncodedImage,
    decoded: DecodedImage,
    preparer: Preparer,
    decode_s: float,
    is_fast: bool,
) -> PixelArray | Failure:
    """Brings a decoded image into the geometry of one model.

    Args:
        encoded: it came of.
        decoded: the image.
        preparer: of the model.
        decode_s: what decoding took; the time of the geometry is added.
        is_fast: whether the faster way will do.
    """
    start_s = time.thread_time()
    try:
        inputs = _prepare(decoded.image, decoded.extent, preparer, is_fast)
    except ImageError as error:
        return _to_failure(encoded, error, decoded.facts)
    prepare_s = decode_s + time.thread_time() - start_s
    return PixelArray(encoded.ref, inputs, decoded.facts, prepare_s * 1e3)


def _prepare(image: Image.Image, extent: Extent, preparer: Preparer, is_fast: bool) -> ModelInputs:
    return preparer.prepare_fast(image, extent) if is_fast else preparer.prepare(image)


def lend_memory() -> Loan:
    """What one image takes of the memory for decoding; nothing yet."""
    return Loan(_DECODING)


def wait_if_large(turn: Loan, size_bytes: int) -> None:
    """Waits until so many bytes may be taken for decoding an image.

    A WebP of 64 Mi pixels is decoded alone, photographs of 12 million ten at once.
    """
    if size_bytes > LARGE_BYTES:
        turn.raise_to(size_bytes)
    if size_bytes > HUGE_BYTES:
        give_back_unused()


def _to_failure(encoded: EncodedImage, error: ImageError, facts: ImageFacts) -> Failure:
    return Failure.from_error(encoded.ref, error, tries=encoded.tries, facts=facts)


def prepare_opened(
    image: Image.Image, preparer: Preparer, preprocess: Preprocess = "exact"
) -> PixelArray | Failure:
    """Brings an image that the caller has opened into the model's geometry."""
    start_s = time.thread_time()
    ref = ImageRef(uri="")
    try:
        upright = upright_rgb(image)
        extent = Extent.of_whole((upright.height, upright.width))
        inputs = _prepare(upright, extent, preparer, preprocess == "fast")
    except ImageError as error:
        return Failure.from_error(ref, error)
    return PixelArray(ref, inputs, None, (time.thread_time() - start_s) * 1e3)
