"""An image through the decode box, and what is left to do after it."""

import concurrent.futures
import dataclasses
import functools
import threading
from collections.abc import Sequence

from imgcls_beam.byte_budget import Loan
from imgcls_beam.cores import count_cores
from imgcls_beam.elements import EncodedImage, Failure, ImageFacts, PixelArray
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import measure
from imgcls_beam.preparing.decode_memory import HUGE_BYTES
from imgcls_beam.preparing.prepare import (
    apply_preparer,
    lend_memory,
    prepare_for_models,
    wait_if_large,
)
from imgcls_beam.preparing.processors import Preparer
from imgcls_beam.sandbox.asked_work import AskedWork, plan_work, write_work
from imgcls_beam.sandbox.box import DecodeBox
from imgcls_beam.sandbox.child_lines import SLOTS
from imgcls_beam.sandbox.child_process import ChildEndedError, Ending, Errand
from imgcls_beam.sandbox.frames import Message
from imgcls_beam.sandbox.own_box import find_box, find_state
from imgcls_beam.sandbox.shared_slot import SharedSlot
from imgcls_beam.sandbox.told_answers import Told, read_answer

IN_PROCESS = threading.BoundedSemaphore(count_cores())
"""Where there is no box: the pool has more threads than there may be images in memory."""


@functools.cache
def box_pool() -> concurrent.futures.ThreadPoolExecutor:
    """The threads of this process that have images prepared: as many as a box can take in at once.

    One pool for all harness threads: memory is bounded by the cores, not by the runner's threads.
    """
    threads = SLOTS * count_cores()
    return concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="imgcls-prepare")


def prepare_image(
    encoded: EncodedImage, preparer: Preparer, options: DecodeOptions
) -> PixelArray | Failure:
    """What `prepare_in_box` does, for one model."""
    return prepare_in_box(encoded, (preparer,), options)[0]


def prepare_in_box(
    encoded: EncodedImage, preparers: Sequence[Preparer], options: DecodeOptions
) -> list[PixelArray | Failure]:
    """What `prepare_for_models` does, with the decoding where `options.sandbox` says.

    Raises:
        ConfigError: the sandbox that is required cannot be had here.
        OSError: no child can be started any more.
    """
    state = find_state(options)
    if state.where == "child":
        results = _prepare_apart(encoded, preparers, options)
    else:
        with IN_PROCESS:
            results = prepare_for_models(encoded, preparers, options)
    return [dataclasses.replace(each, sandbox=state) for each in results]


def _prepare_apart(
    encoded: EncodedImage, preparers: Sequence[Preparer], options: DecodeOptions
) -> list[PixelArray | Failure]:
    work = plan_work(tuple(each.geometry for each in preparers), options)
    measured = measure(encoded.data)
    with lend_memory() as turn:
        try:
            told = _ask_box(encoded.data, work, options, turn)
        except ImageError as error:
            return [_to_failure(encoded, error, measured)] * len(preparers)
        facts = dataclasses.replace(
            told.facts, size_bytes=measured.size_bytes, sha256=measured.sha256
        )
        if told.error is not None:
            return [_to_failure(encoded, told.error, facts)] * len(preparers)
        return _finish_all(encoded, preparers, work, told, facts, options.preprocess == "fast")


def _ask_box(data: bytes, work: AskedWork, options: DecodeOptions, turn: Loan) -> Told:
    """What a child of this process's box says of an image.

    Raises:
        ImageError: the child has ended, by this image.
        OSError: no child can be started any more.
    """
    box, results = find_box(options), len(work.geometries)

    def take(messages: Sequence[Message], slot: SharedSlot) -> Told:
        return read_answer(messages[0], slot, results, wants_image=work.wants_image)

    try:
        return box.run(make_errand((data,), work, options, turn), take)
    except ChildEndedError as ended:
        raise blame(ended, options) from ended


def make_errand(
    images: Sequence[bytes], work: AskedWork, options: DecodeOptions, turn: Loan
) -> Errand:
    """What a child of this process's box is asked.

    Args:
        images: encoded.
        work: what is wanted of each.
        options: whose box it is, and how long it may take.
        turn: takes what memory is needed.
    """
    permit = functools.partial(_permit, find_box(options), turn)
    return Errand(images, write_work(work), options.max_seconds, permit)


def _permit(box: DecodeBox, turn: Loan, size_bytes: int) -> None:
    wait_if_large(turn, size_bytes)
    if size_bytes > HUGE_BYTES:
        box.rest()


def _finish_all(
    encoded: EncodedImage,
    preparers: Sequence[Preparer],
    work: AskedWork,
    told: Told,
    facts: ImageFacts,
    is_fast: bool,
) -> list[PixelArray | Failure]:
    """One result for each preparer; those that make the same of every image share theirs."""
    results: dict[object, PixelArray | Failure] = {}
    for geometry, result in zip(work.geometries, told.results, strict=True):
        if isinstance(result, ImageError):
            results[geometry] = _to_failure(encoded, result, facts)
        else:
            inputs = {"pixel_values": result}
            results[geometry] = PixelArray(encoded.ref, inputs, facts, told.took_s * 1e3)
    for preparer in preparers:
        if preparer.identity not in results:
            assert told.image is not None
            decoded = dataclasses.replace(told.image, facts=facts)
            results[preparer.identity] = apply_preparer(
                encoded, decoded, preparer, told.took_s, is_fast
            )
    return [results[preparer.identity] for preparer in preparers]


def blame(ended: ChildEndedError, options: DecodeOptions) -> ImageError:
    """What a child's end means for the image that it had."""
    if ended.ending is Ending.OVERDUE:
        message = f"decoding it took more than {options.max_seconds} s"
        return ImageError(FailureCode.TIMEOUT, message, retryable=True)
    if ended.ending is Ending.OUT_OF_MEMORY:
        message = "the system ended the process that decoded it, for want of memory"
        return ImageError(FailureCode.TOO_MUCH_MEMORY, message, retryable=True)
    message = f"decoding it alone ended the process that did it ({ended.how})"
    return ImageError(FailureCode.CRASHED, message)


def _to_failure(encoded: EncodedImage, error: ImageError, facts: ImageFacts) -> Failure:
    return Failure.from_error(encoded.ref, error, tries=encoded.tries, facts=facts)
