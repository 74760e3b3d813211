"""The version of an object now, and whether what was read is what was listed.

A checksum of the listing tells by the bytes themselves, and costs no request. Without one, and for
stretches of an object, the object is looked up once more after it was read: if it still has the
listed version then, it was not changed before. A manifest gives no versions: they are looked up.
"""

import concurrent.futures
import contextvars
import dataclasses
import itertools
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fsspec import AbstractFileSystem

from imgcls_beam.elements import ByteSpan, Failure, ImageRef, RequestLine
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import changed_object, no_file
from imgcls_beam.reading.store_groups import open_stores
from imgcls_beam.stores import (
    RETRIES,
    facts_of,
    find_info,
    has_secret_etag,
    has_version,
    is_content,
    is_local,
    is_passing,
    iterate_waits,
)

_SHORT = "the store gave fewer bytes than the object has"
_DAMAGED = "the bytes that were read do not have the checksum that the store gives for the object"

_LOOK_UP_TRIES = 5
"""Of an object that a manifest names, with some 8 s of waits. An image that is not found to be the
one of an earlier run is scored again, which costs more than to ask."""
_LOOK_UPS_AT_ONCE = 16
_LOOK_UPS_TOGETHER = 256


@dataclasses.dataclass(frozen=True, slots=True)
class _Doubt:
    """What a look-up has to settle, of an object as it was listed; equal ones need only one.

    Attributes:
        is_damaged: whether its bytes do not have the listed checksum.
        is_short: whether there are fewer of them than were listed.
    """

    path: str
    version: str | None
    is_damaged: bool = False
    is_short: bool = False

    def settle(self, info: Mapping[str, Any]) -> ImageError | None:
        """The fault, if there is one, by what the store knows of the object now."""
        if not has_version(info, self.version):
            return changed_object()
        if self.is_short:
            return ImageError(FailureCode.UNAVAILABLE, _SHORT, retryable=True)
        if self.is_damaged and not has_secret_etag(info):
            return ImageError(FailureCode.UNREADABLE, _DAMAGED, retryable=True)
        return None


def fill_versions(
    listed: Iterable[ImageRef | Failure], options: ReadOptions
) -> Iterator[ImageRef | Failure]:
    """Gives each ref the version that its store has of it now, in order."""
    rest = iter(listed)
    while batch := list(itertools.islice(rest, _LOOK_UPS_TOGETHER)):
        yield from look_up_versions(batch, options)


def look_up_versions(
    listed: Sequence[ImageRef | Failure], options: ReadOptions
) -> list[ImageRef | Failure]:
    """Asks the stores for the versions that are missing; what they do not know stays without.

    Reading such an image finds out why, and its row says so.
    """
    found = list(listed)
    unknown = [
        (index, each)
        for index, each in enumerate(listed)
        if isinstance(each, ImageRef) and each.version is None and each.locator is None
    ]
    for indices, store, paths in open_stores([ref for _, ref in unknown], options):
        if isinstance(store, ImageError):
            continue
        for index, info in zip(indices, _look_up_again(store, paths, options), strict=True):
            if not isinstance(info, BaseException):
                position, ref = unknown[index]
                found[position] = dataclasses.replace(ref, **facts_of(info))
    return found


def _look_up_again(
    store: AbstractFileSystem, paths: Sequence[str], options: ReadOptions
) -> list[Mapping[str, Any] | BaseException]:
    """`look_up`; what fails in passing is asked for again, as long as retries are left."""
    infos = look_up(store, paths)
    RETRIES.give_back(sum(not _is_passing(each) for each in infos))
    for wait_s in iterate_waits(_LOOK_UP_TRIES, options.first_wait_s, options.retry_s):
        failed = [index for index, info in enumerate(infos) if _is_passing(info)]
        again = failed[: RETRIES.take(len(failed))]
        if not again:
            break
        time.sleep(wait_s)
        for index, info in zip(again, look_up(store, [paths[i] for i in again]), strict=True):
            infos[index] = info
    return infos


def _is_passing(info: Mapping[str, Any] | BaseException) -> bool:
    return isinstance(info, BaseException) and is_passing(info)


def look_up(
    store: AbstractFileSystem, paths: Sequence[str]
) -> list[Mapping[str, Any] | BaseException]:
    """What a store knows of each object now, several asked at once; an exception where it fails."""
    if is_local(store):
        return [_look_at_file(path) for path in paths]
    with concurrent.futures.ThreadPoolExecutor(_LOOK_UPS_AT_ONCE) as pool:
        futures = [
            pool.submit(contextvars.copy_context().run, find_info, store, path, is_object=True)
            for path in paths
        ]
    return [future.exception() or future.result() for future in futures]


def find_faults(
    store: AbstractFileSystem,
    paths: Sequence[str],
    refs: Sequence[ImageRef],
    answers: Sequence[bytes | BaseException],
) -> dict[int, BaseException]:
    """Finds answers of one store that are not what was listed.

    Returns:
        By position: an `ImageError`, or what the store raised when it was asked once more.
    """
    found = {
        index: doubt
        for index, (path, ref, answer) in enumerate(zip(paths, refs, answers, strict=True))
        if (doubt := _find_doubt(path, ref, answer)) is not None
    }
    doubts = list(dict.fromkeys(found.values()))
    infos = look_up(store, [doubt.path for doubt in doubts]) if doubts else []
    settled = {
        doubt: info if isinstance(info, BaseException) else doubt.settle(info)
        for doubt, info in zip(doubts, infos, strict=True)
    }
    return {index: fault for index, doubt in found.items() if (fault := settled[doubt]) is not None}


def _find_doubt(path: str, ref: ImageRef, answer: bytes | BaseException) -> _Doubt | None:
    if ref.locator is not None:  # another image may lie there now, or the end of the object
        if ref.version is None:
            return None
        return _Doubt(path, ref.version, is_short=_is_short(ref, answer))
    if isinstance(answer, BaseException):
        return None
    fits = is_content(answer, ref.checksum) if ref.checksum is not None else None
    if fits or (fits is None and ref.version is None):
        return None
    return _Doubt(path, ref.version, fits is False, _is_short(ref, answer))


def _is_short(ref: ImageRef, answer: bytes | BaseException) -> bool:
    """Whether an answer ends before what is stored does, as far as that is listed."""
    span, size_bytes = ref.locator, ref.size_bytes
    if isinstance(span, ByteSpan | RequestLine):
        size_bytes = span.end - span.start
    return size_bytes is not None and isinstance(answer, bytes) and len(answer) < size_bytes


def _look_at_file(path: str) -> Mapping[str, Any] | BaseException:
    try:
        seen = os.stat(path)
    except (OSError, ValueError) as error:  # the latter: a name that no file can have
        return error
    if not stat.S_ISREG(seen.st_mode):
        return no_file()
    return {"name": path, "size": seen.st_size, "mtime": seen.st_mtime}
