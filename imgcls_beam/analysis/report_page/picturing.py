"""Images of a page → small pictures of them, read anew; or a sentence where there is none.

Only so many are read, some at a time, within the limits of reading and decoding. Whatever an image
holds, and whatever became of it since the run, costs its picture and never the report.
"""

import base64
import collections
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from imgcls_beam.analysis.report_page.page_facts import PageImages, Picture
from imgcls_beam.analysis.report_page.row_refs import find_refs
from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import DecodeOptions, ReadOptions
from imgcls_beam.preparing.previews import Preview
from imgcls_beam.reading import read_images
from imgcls_beam.reasons import describe_reason
from imgcls_beam.sandbox import box_pool, draw_all_in_box, start_box

_ItemT = TypeVar("_ItemT")
_Batch = Iterable[tuple[int, Picture]]

EDGE_PX = 288
MAX_PICTURES = 320
MAX_CHARS = 6_000_000
"""Of all pictures together, as they stand in the page."""
_BATCH_IMAGES, _BATCH_BYTES = 32, 32 << 20
"""That are read at once."""
_SHARED_IMAGES, _SHARED_BYTES = 8, 1 << 20
"""That are drawn at once: a message of its own costs as much as a small image, and little beside a
large one."""
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
    return begin_pictures(facts, configuration, max_chars)()


def begin_pictures(
    facts: PageImages, configuration: Mapping[str, Any], max_chars: int = MAX_CHARS
) -> Callable[[], dict[int, Picture]]:
    """Begins to make them, so that something else can be done while they are drawn.

    Args:
        facts: see `make_pictures`.
        configuration: likewise.
        max_chars: likewise.

    Returns:
        What waits for all pictures, and gives them as `make_pictures` does.
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
    batches = _draw_batches(known, read, decode)
    first = list(itertools.islice(batches, 1))
    return functools.partial(_collect, pictures, itertools.chain(first, batches), max_chars)


def _collect(
    pictures: dict[int, Picture], batches: Iterable[_Batch], max_chars: int
) -> dict[int, Picture]:
    """Adds the pictures of batches as they come, up to a limit."""
    left = max_chars
    for batch in batches:
        for index, picture in batch:
            if len(picture.data_uri) <= left:
                pictures[index], left = picture, left - len(picture.data_uri)
        if left < _LEAST_CHARS:
            break
    return pictures


def _draw_batches(
    known: Sequence[tuple[int, ImageRef]], read: ReadOptions, decode: DecodeOptions
) -> Iterator[_Batch]:
    """Reads and draws batch by batch; what may be held is read before the first is waited for."""
    begun: collections.deque[tuple[int, _Batch]] = collections.deque()
    for batch in _split(known, _count_listed_bytes, _BATCH_IMAGES, _BATCH_BYTES):
        encoded = read_images([ref for _, ref in batch], read)
        together = _split(encoded, _count_read_bytes, _SHARED_IMAGES, _SHARED_BYTES)
        drawn = box_pool().map(functools.partial(_draw_all, options=decode), together)
        pictures = zip(
            (index for index, _ in batch), itertools.chain.from_iterable(drawn), strict=True
        )
        begun.append((sum(map(_count_read_bytes, encoded)), pictures))
        while len(begun) > 1 and sum(size_bytes for size_bytes, _ in begun) > _BATCH_BYTES:
            yield begun.popleft()[1]
    yield from (each for _, each in begun)


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


def _split(
    items: Iterable[_ItemT], count_bytes: Callable[[_ItemT], int], most: int, most_bytes: int
) -> Iterator[list[_ItemT]]:
    """Batches of up to so many images, each of which ends with the one that makes it too large."""
    batch: list[_ItemT] = []
    size_bytes = 0
    for each in items:
        if len(batch) == most or size_bytes > most_bytes:
            yield batch
            batch, size_bytes = [], 0
        batch.append(each)
        size_bytes += count_bytes(each)
    if batch:
        yield batch


def _count_listed_bytes(indexed: tuple[int, ImageRef]) -> int:
    """As far as they are known."""
    return indexed[1].size_bytes or 0


def _count_read_bytes(encoded: EncodedImage | Failure) -> int:
    return len(encoded.data) if isinstance(encoded, EncodedImage) else 0


def _draw_all(some: Sequence[EncodedImage | Failure], options: DecodeOptions) -> list[Picture]:
    images = [each.data for each in some if isinstance(each, EncodedImage)]
    drawn = iter(draw_all_in_box(images, EDGE_PX, options))
    return [
        _tell_failure(each) if isinstance(each, Failure) else _to_picture(next(drawn))
        for each in some
    ]


def _tell_failure(failure: Failure) -> Picture:
    return Picture(problem=_REASONS.get(failure.code, failure.message))


def _to_picture(drawn: Preview | ImageError | OSError) -> Picture:
    if isinstance(drawn, ImageError):
        return Picture(problem=drawn.message)
    if isinstance(drawn, OSError):
        return Picture(problem=f"nothing could be started to decode it ({describe_reason(drawn)})")
    text = base64.b64encode(drawn.jpeg).decode()
    return Picture(f"data:image/jpeg;base64,{text}", drawn.width_px, drawn.height_px)
