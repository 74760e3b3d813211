"""One try of some objects: what their stores answer becomes images, or the reason of each.

Many requests are in flight on stores that are asynchronous (2,716 objects/s of 100 kB 20 ms away at
200 in flight, against 169 for Beam's FileSystems on 32 threads); others are asked by fsspec's
`cat_ranges`, which returns an exception per path, and, unlike `cat`, takes `a[1].jpg` for a name.
Files of a local disk are opened without it: 47,000 of 20 kB a second against 37,000.
"""

import itertools
import os
import stat
from collections.abc import Sequence

from fsspec import AbstractFileSystem

from imgcls_beam.elements import ByteSpan, EncodedImage, Failure, ImageRef, RequestLine
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import changed_object, no_file, to_image_error, too_many_bytes
from imgcls_beam.reading.missing_buckets import tell_missing_buckets
from imgcls_beam.reading.pinning import find_faults
from imgcls_beam.reading.ranges import Asking, Stretch, ask_ranges
from imgcls_beam.reading.request_images import limit_line_bytes, open_request
from imgcls_beam.reading.shared_reads import Result
from imgcls_beam.reading.store_groups import open_stores
from imgcls_beam.stores import FaultKind, has_version, is_local, kind_of

_STRETCHES = (ByteSpan, RequestLine)


def try_objects(refs: Sequence[ImageRef], asking: Asking) -> list[Result]:
    """Asks for each object once; one result each, in order."""
    if not refs:
        return []
    with asking.bear_silence(refs[0].object_uri):  # look-ups, too
        answers = _fetch(refs, asking)
    answers = tell_missing_buckets(refs, answers, asking.options)
    return [_judge(ref, answer, asking) for ref, answer in zip(refs, answers, strict=True)]


def is_passing(result: Result) -> bool:
    """Whether to ask again: the fault looks passing, or the bytes were damaged on their way."""
    return (
        isinstance(result, Failure) and result.retryable and result.code is not FailureCode.CHANGED
    )


def _fetch(refs: Sequence[ImageRef], asking: Asking) -> list[bytes | BaseException]:
    # What is not asked for is judged by its listed size.
    answers: dict[int, bytes | BaseException] = dict.fromkeys(range(len(refs)), b"")
    for indices, store, paths in open_stores(refs, asking.options):
        if isinstance(store, ImageError):
            answers |= dict.fromkeys(indices, store)
            continue
        wanted = [_is_wanted(refs[i], asking.options) for i in indices]
        asked, paths = (
            list(itertools.compress(indices, wanted)),
            list(itertools.compress(paths, wanted)),
        )
        got = _fetch_ranges(store, paths, [refs[i] for i in asked], asking)
        answers |= zip(asked, got, strict=True)
    return list(answers.values())


def _fetch_ranges(
    store: AbstractFileSystem, paths: list[str], refs: Sequence[ImageRef], asking: Asking
) -> Sequence[bytes | BaseException]:
    """Reads stretches; of whole objects at most one byte more than is expected.

    So a size that is unknown, or a lie, costs no memory.
    """
    stretches = [
        _choose_stretch(ref, path, asking.options) for ref, path in zip(refs, paths, strict=True)
    ]
    if is_local(store):
        return list(map(_read_file, refs, stretches))
    asked = ask_ranges(store, stretches, asking)
    got = [b"" if _is_empty(*each) else each[1] for each in zip(refs, asked, strict=True)]
    faults = find_faults(store, paths, refs, got)
    return [faults.get(index, answer) for index, answer in enumerate(got)]


def _choose_stretch(ref: ImageRef, path: str, options: ReadOptions) -> Stretch:
    if isinstance(ref.locator, _STRETCHES):
        return Stretch(ref.object_uri, path, ref.locator.start, ref.locator.end)
    return Stretch(ref.object_uri, path, None, 1 + (ref.size_bytes or options.max_bytes))


def _is_empty(ref: ImageRef, answer: bytes | BaseException) -> bool:
    """Whether a store refused a whole object, as it has no first byte."""
    if isinstance(answer, bytes) or ref.locator is not None:
        return False
    return kind_of(answer) is FaultKind.OUT_OF_RANGE


def _read_file(ref: ImageRef, stretch: Stretch) -> bytes | BaseException:
    """Reads a stretch of a file of a local disk, and pins it in the same step.

    The version is asked of the opened file: one that was replaced meanwhile is still the one that
    was opened, and one that was written to has another time.
    """
    try:
        opened = os.open(
            stretch.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        )  # a pipe would wait
    except (OSError, ValueError) as error:  # the latter: a name that no file can have
        return error
    try:
        seen = os.fstat(opened)
        if not stat.S_ISREG(seen.st_mode):
            return no_file()
        offset, end = stretch.start or 0, min(stretch.end, seen.st_size)
        data = os.pread(opened, max(end - offset, 0), offset)
        while (done := offset + len(data)) < end and (more := os.pread(opened, end - done, done)):
            data += more
        is_listed = has_version({"mtime": os.fstat(opened).st_mtime}, ref.version)
        return data if is_listed else changed_object()
    except OSError as error:
        return error
    finally:
        os.close(opened)


def _size_of(ref: ImageRef) -> int | None:
    """How many bytes are stored, of which all are read."""
    span = ref.locator
    return span.end - span.start if isinstance(span, _STRETCHES) else ref.size_bytes


def _limit_of(ref: ImageRef, options: ReadOptions) -> int:
    """The most bytes to read; of a request, whose image is base64, a third more."""
    is_request = isinstance(ref.locator, RequestLine)
    return limit_line_bytes(options.max_bytes) if is_request else options.max_bytes


def _is_wanted(ref: ImageRef, options: ReadOptions) -> bool:
    """Whether to ask the store at all; S3 refuses a range of an object that has no bytes."""
    size_bytes = _size_of(ref)
    if _is_sparse(ref) and (ref.size_bytes or 0) > options.max_bytes:
        return False
    return size_bytes is None or 0 < size_bytes <= _limit_of(ref, options)


def _judge(ref: ImageRef, answer: bytes | BaseException, asking: Asking) -> Result:
    options, tries = asking.options, asking.tries
    try:
        if isinstance(answer, BaseException):
            raise to_image_error(answer, was_listed=ref.version is not None)
        _check_length(ref, len(answer), options)
    except ImageError as error:
        return Failure.from_error(ref, error, tries=tries)
    encoded = EncodedImage(ref, _fill(ref, bytes(answer)), tries)
    is_request = isinstance(ref.locator, RequestLine)
    return open_request(encoded, options.max_bytes) if is_request else encoded


def _check_length(ref: ImageRef, length_bytes: int, options: ReadOptions) -> None:
    size_bytes = _size_of(ref)
    unpacked_bytes = (ref.size_bytes or 0) if _is_sparse(ref) else 0
    if max(size_bytes or 0, length_bytes, unpacked_bytes) > _limit_of(ref, options):
        raise too_many_bytes(options.max_bytes)
    if size_bytes is not None and length_bytes != size_bytes:
        message = "the object has another size than when it was listed"
        raise ImageError(FailureCode.CHANGED, message, retryable=True)
    if length_bytes == 0:
        raise ImageError(FailureCode.EMPTY, "the object has no bytes")


def _is_sparse(ref: ImageRef) -> bool:
    return isinstance(ref.locator, ByteSpan) and bool(ref.locator.pieces)


def _fill(ref: ImageRef, stored: bytes) -> bytes:
    """The image of which these bytes are stored: a sparse member with the zeros between."""
    if not isinstance(ref.locator, ByteSpan) or not ref.locator.pieces:
        return stored
    filled, done = bytearray(ref.size_bytes or 0), 0
    for offset, length in ref.locator.pieces:
        filled[offset : offset + length] = stored[done : done + length]
        done += length
    return bytes(filled)
