"""Whether what was read is what was listed.

A checksum of the listing tells by the bytes themselves, and costs no request. Without one, and for
stretches of an object, the object is looked up once more after it was read: what still has its
version then was not changed before.
"""

import concurrent.futures
import dataclasses
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from fsspec import AbstractFileSystem

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.reading.faults import no_file
from imgcls_beam.stores import find_info, has_secret_etag, has_version, is_content, is_local

CHANGED = "the object has changed since it was listed"
DAMAGED = "the bytes that were read do not have the checksum that the store gives for the object"

_LOOK_UPS_AT_ONCE = 16


@dataclasses.dataclass(frozen=True, slots=True)
class _Doubt:
    """What a look-up has to settle.

    Attributes:
        path: the object's, in its store's own spelling.
        version: that it had when it was listed.
        is_damaged: whether its bytes do not have the listed checksum.
    """

    path: str
    version: str | None
    is_damaged: bool = False


def look_up(
    store: AbstractFileSystem, paths: Sequence[str]
) -> list[Mapping[str, Any] | BaseException]:
    """What a store knows of each object now, several asked at once; an exception where it fails."""
    if is_local(store):
        return [_look_at_file(path) for path in paths]
    with concurrent.futures.ThreadPoolExecutor(_LOOK_UPS_AT_ONCE) as pool:
        futures = [pool.submit(find_info, store, path) for path in paths]
    return [future.exception() or future.result() for future in futures]


def find_faults(
    store: AbstractFileSystem,
    paths: Sequence[str],
    refs: Sequence[ImageRef],
    answers: Sequence[bytes | BaseException],
) -> dict[int, BaseException]:
    """Of what was read, what may not be taken for what was listed.

    Args:
        store: of all of them.
        paths: of the objects there.
        refs: what was asked for.
        answers: what was read, in the same order.

    Returns:
        By position: an `ImageError`, or what the store raised when it was asked once more.
    """
    doubts: dict[int, _Doubt] = {}
    for index, (path, ref, answer) in enumerate(zip(paths, refs, answers, strict=True)):
        doubt = _find_doubt(path, ref, answer)
        if doubt is not None:
            doubts[index] = doubt
    settled = _settle(store, list(dict.fromkeys(doubts.values())))
    faults = {index: settled[doubt] for index, doubt in doubts.items()}
    return {index: fault for index, fault in faults.items() if fault is not None}


def _find_doubt(path: str, ref: ImageRef, answer: bytes | BaseException) -> _Doubt | None:
    if ref.locator is not None:  # at that place there may be another image now, or an end
        return _Doubt(path, ref.version) if ref.version is not None else None
    if isinstance(answer, BaseException):
        return None
    fits = is_content(answer, ref.checksum) if ref.checksum is not None else None
    if fits or (fits is None and ref.version is None):
        return None
    return _Doubt(path, ref.version, is_damaged=fits is False)


def _settle(
    store: AbstractFileSystem, doubts: Sequence[_Doubt]
) -> dict[_Doubt, BaseException | None]:
    infos = look_up(store, [doubt.path for doubt in doubts]) if doubts else []
    settled: dict[_Doubt, BaseException | None] = {}
    for doubt, info in zip(doubts, infos, strict=True):
        if isinstance(info, BaseException):
            settled[doubt] = info
        elif not has_version(info, doubt.version):
            settled[doubt] = ImageError(FailureCode.CHANGED, CHANGED, retryable=True)
        elif doubt.is_damaged and not has_secret_etag(info):
            settled[doubt] = ImageError(FailureCode.UNREADABLE, DAMAGED, retryable=True)
        else:
            settled[doubt] = None
    return settled


def _look_at_file(path: str) -> Mapping[str, Any] | BaseException:
    try:
        seen = os.stat(path)
    except OSError as error:
        return error
    if not stat.S_ISREG(seen.st_mode):
        return no_file()
    return {"name": path, "size": seen.st_size, "mtime": seen.st_mtime}
