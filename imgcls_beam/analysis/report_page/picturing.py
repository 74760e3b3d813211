"""Images of a page → small pictures of them, read anew; or a sentence where there is none.

Only so many are read, some at a time, within the limits of reading and decoding. Whatever an image
holds, and whatever became of it since the run, costs its picture and never the report.
"""

import base64
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from imgcls_beam.analysis.report_page.page_facts import PageImages, Picture
from imgcls_beam.analysis.report_page.row_refs import find_refs
from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import DecodeOptions, ReadOptions
from imgcls_beam.reading import read_images
from imgcls_beam.reasons import describe_reason
from imgcls_beam.sandbox import box_pool, draw_in_box, start_box

EDGE_PX = 288
MAX_PICTURES = 320
MAX_CHARS = 6_000_000
"""Of all pictures together, as they stand in the page."""
_BATCH_IMAGES, _BATCH_BYTES = 32, 32 << 20
_TRIES = 2
_LEAST_CHARS = 20_000
"""With less left no further picture is tried."""

_TOO_MANY = Picture(problem="left out, so that the file stays small")
_GONE = Picture(problem="it is not found any more")
_REASONS = {
    FailureCode.NOT_FOUND: "the object is gone",
    FailureCode.CHANGED: "the object is another one by now",
    FailureCode.ARCHIVED: "the object is archived",
    FailureCode.PERMISSION_DENIED: "the object may not be read from here",
    FailureCode.UNAVAILABLE: "the store did not answer",
}


def make_pictures(
    facts: PageImages, configuration: Mapping[str, Any], max_chars: int = MAX_CHARS
) -> dict[int, Picture]:
    """Makes the pictures that a page shows, those that matter most first.

    Args:
        facts: of the page.
        configuration: of the run, as it is in its record.
        max_chars: of all pictures together.

    Returns:
        By index in `facts.images`; each that is to be shown has one, or its problem.
    """
    read, decode = _find_limits(configuration)
    start_box(decode)
    wanted = list(facts.list_pictured())
    pictures = dict.fromkeys(wanted, _TOO_MANY)
    indices = wanted[:MAX_PICTURES]
    refs = find_refs([facts.images[index] for index in indices], configuration)
    found = {index: refs.get(facts.images[index].uri) for index in indices}
    pictures |= {index: _GONE for index, ref in found.items() if ref is None}
    known = [(index, ref) for index, ref in found.items() if ref is not None]
    left = max_chars
    for batch in _draw_batches(known, read, decode):
        for index, picture in batch:
            if len(picture.data_uri) <= left:
                pictures[index], left = picture, left - len(picture.data_uri)
        if left < _LEAST_CHARS:
            break
    return pictures


def _draw_batches(
    known: Sequence[tuple[int, ImageRef]], read: ReadOptions, decode: DecodeOptions
) -> Iterator[Iterable[tuple[int, Picture]]]:
    """Reads and draws batch by batch; the next one is read, and begun, while one is drawn."""
    begun: Iterable[tuple[int, Picture]] | None = None
    for batch in _split(known):
        encoded = read_images([ref for _, ref in batch], read)
        drawn = box_pool().map(functools.partial(_draw, options=decode), encoded)
        if begun is not None:
            yield begun
        begun = zip((index for index, _ in batch), drawn, strict=True)
    if begun is not None:
        yield begun


def _find_limits(configuration: Mapping[str, Any]) -> tuple[ReadOptions, DecodeOptions]:
    """Those of the run; a store that is not there is not waited for as long."""
    read, decode = (configuration.get(name) or {} for name in ("read", "decode"))
    return (
        ReadOptions(
            max_bytes=read.get("max_bytes", ReadOptions().max_bytes),
            allow_schemes=tuple(read.get("allow_schemes", ())),
            tries=_TRIES,
        ),
        DecodeOptions(max_pixels=decode.get("max_pixels", DecodeOptions().max_pixels)),
    )


def _split(known: Sequence[tuple[int, ImageRef]]) -> Iterator[list[tuple[int, ImageRef]]]:
    """Batches of so many images, and of so many bytes as far as these are known."""
    batch: list[tuple[int, ImageRef]] = []
    size_bytes = 0
    for index, ref in known:
        if batch and (len(batch) == _BATCH_IMAGES or size_bytes > _BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append((index, ref))
        size_bytes += ref.size_bytes or 0
    if batch:
        yield batch


def _draw(encoded: EncodedImage | Failure, options: DecodeOptions) -> Picture:
    if isinstance(encoded, Failure):
        return Picture(problem=_REASONS.get(encoded.code, encoded.message))
    try:
        data, width_px, height_px = draw_in_box(encoded.data, EDGE_PX, options)
    except ImageError as error:
        return Picture(problem=error.message)
    except OSError as error:
        return Picture(problem=f"nothing could be started to decode it ({describe_reason(error)})")
    text = base64.b64encode(data).decode()
    return Picture(f"data:image/jpeg;base64,{text}", width_px, height_px)
