"""Images wherever they lie, in the order in which they were asked for.

::

    an object, a member of an archive ─▶ objects ─▶ bytes
    a line of a request file ─▶ objects ─▶ request_images ─▶ bytes
    a cell of a Parquet file ─▶ cells ─▶ bytes
    bytes that are there already ─▶ bytes
"""

import dataclasses
import time
from collections.abc import Callable, Sequence

from imgcls_beam.attributes import find_attributes_problem
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, RequestLine, TableCell
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import too_many_bytes
from imgcls_beam.reading.objects import read_objects
from imgcls_beam.reading.request_images import open_request


def read_images(
    refs: Sequence[ImageRef | EncodedImage | Failure],
    options: ReadOptions,
    sleep: Callable[[float], object] = time.sleep,
) -> list[EncodedImage | Failure]:
    """Reads images; one result each, in order. A failure of listing comes out as it is.

    Args:
        refs: what to read, in any stores; what is read already is held to the limit.
        options: limits and retries.
        sleep: waits so many seconds.
    """
    refs = list(map(_limit_attributes, refs))
    wanted = [ref for ref in refs if isinstance(ref, ImageRef)]
    objects = [ref for ref in wanted if not isinstance(ref.locator, TableCell)]
    cells = [ref for ref in wanted if isinstance(ref.locator, TableCell)]
    from_objects = iter(read_objects(objects, options, sleep))
    from_cells = iter(_read_cells(cells, options, sleep) if cells else ())
    results: list[EncodedImage | Failure] = []
    for ref in refs:
        if isinstance(ref, Failure):
            results.append(ref)
        elif isinstance(ref, EncodedImage):
            results.append(_limit(ref, options.max_bytes))
        elif isinstance(ref.locator, TableCell):
            results.append(next(from_cells))
        else:
            results.append(_open(next(from_objects), options))
    return results


def _limit_attributes(
    listed: ImageRef | EncodedImage | Failure,
) -> ImageRef | EncodedImage | Failure:
    """What was listed; a failure without its attributes where they do not fit into a row."""
    ref = listed if isinstance(listed, ImageRef) else listed.ref
    problem = find_attributes_problem(ref.attributes)
    if problem is None:
        return listed
    ref = dataclasses.replace(ref, attributes=None)
    return Failure.from_error(ref, ImageError(FailureCode.INVALID_REFERENCE, problem))


def _limit(image: EncodedImage, max_bytes: int) -> EncodedImage | Failure:
    if len(image.data) <= max_bytes:
        return image
    return Failure.from_error(image.ref, too_many_bytes(max_bytes))


def _read_cells(
    refs: Sequence[ImageRef], options: ReadOptions, sleep: Callable[[float], object]
) -> list[EncodedImage | Failure]:
    from imgcls_beam.reading.cells import read_cells  # pyarrow is heavy

    return read_cells(refs, options, sleep)


def _open(got: EncodedImage | Failure, options: ReadOptions) -> EncodedImage | Failure:
    """Takes the image out of a request; any other one is what was read."""
    if isinstance(got, Failure) or not isinstance(got.ref.locator, RequestLine):
        return got
    return open_request(got, options.max_bytes)
