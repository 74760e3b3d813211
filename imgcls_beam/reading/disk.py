"""Files of a local disk, read and pinned in one step.

The version is asked of the opened file: one that was replaced meanwhile is still the one that was
opened, and one that was written to has another time.
"""

import os
import stat
from collections.abc import Sequence

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.reading.faults import no_file
from imgcls_beam.reading.pinning import CHANGED
from imgcls_beam.stores import has_version


def read_files(
    refs: Sequence[ImageRef],
    paths: Sequence[str],
    starts: Sequence[int | None],
    ends: Sequence[int],
) -> list[bytes | BaseException]:
    """Reads stretches of files; one result each, in order.

    Args:
        refs: what was listed; only the version is looked at.
        paths: of the files.
        starts: first byte of each; None for 0.
        ends: one past the last byte of each; less is read at the end of a file.

    Returns:
        The bytes; an `ImageError` for what has changed; an `OSError` for what cannot be read.
    """
    results: list[bytes | BaseException] = []
    for ref, path, start, end in zip(refs, paths, starts, ends, strict=True):
        try:
            results.append(_read_file(path, start or 0, end, ref.version))
        except (OSError, ImageError) as error:
            results.append(error)
    return results


def _read_file(path: str, start: int, end: int, version: str | None) -> bytes:
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait
    try:
        before = os.fstat(opened)
        if not stat.S_ISREG(before.st_mode):
            raise no_file()
        wanted = min(end, before.st_size) - start
        data = os.pread(opened, max(wanted, 0), start)
        while len(data) < wanted and (
            more := os.pread(opened, wanted - len(data), start + len(data))
        ):
            data += more
        if not has_version({"mtime": os.fstat(opened).st_mtime}, version):
            raise ImageError(FailureCode.CHANGED, CHANGED, retryable=True)
    finally:
        os.close(opened)
    return data
