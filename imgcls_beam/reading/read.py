"""Images wherever they lie, in the order in which they were asked for.

::

    an object, a member of an archive ─▶ bytes
    a line of a request file ─▶ bytes ─▶ request_images ─▶ bytes
    a cell of a Parquet file ─▶ cells ─▶ bytes
    bytes that are there already ─▶ bytes

All objects are tried at once (`try_objects`), and those whose fault looks passing are tried again
each by itself (`late_reads`).
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence

from imgcls_beam.attributes import find_attributes_problem
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, TableCell
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import Sleep, too_many_bytes
from imgcls_beam.reading.late_reads import begin_objects
from imgcls_beam.reading.ranges import Asking
from imgcls_beam.reading.shared_reads import Begun, Given, Result, read_shared, wait_for


def read_images(
    refs: Sequence[Given], options: ReadOptions, sleep: Sleep = time.sleep
) -> list[Result]:
    """Reads images from any stores; one result each, in order.

    A failure of listing stays as it is, and so does an image that is read already, if it is within
    the limit. An object that several refs name is read once, see `ReadOptions.dedupe`.

    Args:
        refs: what is to be read.
        options: the limits.
        sleep: waits before other tries, in the threads of several objects at once.
    """
    return list(map(wait_for, begin_images(refs, Asking.alone(options, sleep))))


def begin_images(refs: Sequence[Given], asking: Asking) -> list[Begun]:
    """`read_images` without the wait for objects that are asked for again: theirs are to come."""
    checked = [_check(ref, asking.options.max_bytes) for ref in refs]
    if asking.options.dedupe == "off":
        return _begin_each(checked, asking)
    return read_shared(checked, lambda distinct: _begin_each(distinct, asking))


def _begin_each(checked: Sequence[Given], asking: Asking) -> list[Begun]:
    wanted = [ref for ref in checked if isinstance(ref, ImageRef)]
    cells = [ref for ref in wanted if isinstance(ref.locator, TableCell)]
    objects = [ref for ref in wanted if not isinstance(ref.locator, TableCell)]
    from_objects = iter(begin_objects(objects, asking))
    from_cells: Iterator[Result] = iter(())
    if cells:
        from imgcls_beam.reading.cells import read_cells  # pyarrow is heavy

        from_cells = iter(read_cells(cells, asking.options, asking.sleep))
    results: list[Begun] = []
    for ref in checked:
        if isinstance(ref, ImageRef):
            results.append(next(from_cells if isinstance(ref.locator, TableCell) else from_objects))
        else:
            results.append(ref)
    return results


def _check(given: Given, max_bytes: int) -> Given:
    """What was given; a failure where its bytes, or its attributes for a row, are too many."""
    ref = given if isinstance(given, ImageRef) else given.ref
    if problem := find_attributes_problem(ref.attributes):
        ref = dataclasses.replace(ref, attributes=None)
        return Failure.from_error(ref, ImageError(FailureCode.INVALID_REFERENCE, problem))
    if isinstance(given, EncodedImage) and len(given.data) > max_bytes:
        return Failure.from_error(ref, too_many_bytes(max_bytes))
    return given
