"""Staged files are read back before they are published, many at once and within one budget.

Who reads a file back learns which version of it was read, where its store has versions. A file of
that version still holds these bytes and these rows, so nobody has to read it again.
"""

import contextlib
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from imgcls_beam.byte_budget import ByteBudget
from imgcls_beam.errors import PublishError
from imgcls_beam.sinks.record_parts import RecordedFile
from imgcls_beam.stores.folder import Folder, hash_stream

READING_BYTES = 256 << 20
"""Of a process, for files that are read back, and for row groups that are merged."""
MERGE_BYTES = 64 << 20
"""What a merge takes: a row group that is read, one that is written, and a block of a file."""
_MOST_BYTES = 32 << 20
"""What a file takes that is read block by block."""

_READING = ByteBudget(READING_BYTES)


@contextlib.contextmanager
def hold_bytes(size_bytes: int) -> Iterator[None]:
    """Waits for its turn to have so many bytes."""
    _READING.take(size_bytes)
    try:
        yield
    finally:
        _READING.give_back(size_bytes)


def read_back(folder: Folder, file: RecordedFile) -> str | None:
    """Reads a staged file and compares it with what was written.

    Returns:
        The version that was read; None where the store has none.

    Raises:
        FileNotFoundError: it is gone.
        PublishError: it holds other bytes than were written, or other rows than were counted.
    """
    with (
        hold_bytes(min(file.size_bytes, _MOST_BYTES)),
        folder.open_pinned(file.path, file.size_bytes) as (source, version),
    ):
        if hash_stream(source) != file.sha256:
            raise PublishError(f"{file.path} holds other bytes than were written")
        if count_rows(source) != file.rows:
            raise PublishError(f"{file.path} holds other rows than the {file.rows} counted")
    return version


def count_rows(source: IO[bytes]) -> int | None:
    """How many rows a Parquet file has, by its footer; None where it is none."""
    try:
        rows: int = pq.read_metadata(source).num_rows
    except pa.ArrowInvalid:
        return None
    return rows
