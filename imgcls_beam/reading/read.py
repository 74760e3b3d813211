"""Images wherever they lie, in the order in which they were asked for.

::

    an object, a member of an archive ─▶ objects ─▶ bytes
    a line of a request file ─▶ objects ─▶ request_images ─▶ bytes
    a cell of a Parquet file ─▶ cells ─▶ bytes
    bytes that are there already ─▶ bytes
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

from imgcls_beam.attributes import find_attributes_problem
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, TableCell
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import too_many_bytes
from imgcls_beam.reading.objects import read_objects


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
    checked = [_check(ref, options.max_bytes) for ref in refs]
    wanted = [ref for ref in checked if isinstance(ref, ImageRef)]
    cells = [ref for ref in wanted if isinstance(ref.locator, TableCell)]
    objects = [ref for ref in wanted if not isinstance(ref.locator, TableCell)]
    from_objects = iter(read_objects(objects, options, sleep))
    from_cells: Iterator[EncodedImage | Failure] = iter(())
    if cells:
        from imgcls_beam.reading.cells import read_cells  # pyarrow is heavy

        from_cells = iter(read_cells(cells, options, sleep))
    results: list[EncodedImage | Failure] = []
    for ref in checked:
        if isinstance(ref, ImageRef):
            results.append(next(from_cells if isinstance(ref.locator, TableCell) else from_objects))
        else:
            results.append(ref)
    return results


def _check(
    given: ImageRef | EncodedImage | Failure, max_bytes: int
) -> ImageRef | EncodedImage | Failure:
    """What was given; a failure where its bytes, or its attributes for a row, are too many."""
    ref = given if isinstance(given, ImageRef) else given.ref
    if problem := find_attributes_problem(ref.attributes):
        ref = dataclasses.replace(ref, attributes=None)
        return Failure.from_error(ref, ImageError(FailureCode.INVALID_REFERENCE, problem))
    if isinstance(given, EncodedImage) and len(given.data) > max_bytes:
        return Failure.from_error(ref, too_many_bytes(max_bytes))
    return given
