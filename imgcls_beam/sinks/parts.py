"""Fragments into parts: which staged files are published as one, and merging them.

Nothing here knows of Beam, and each function may run again: files that were merged stay.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from imgcls_beam.errors import PublishError
from imgcls_beam.sinks import store
from imgcls_beam.sinks.fragments import StagedFile, StagingWriter

TARGET_BYTES = 128 << 20
"""About the size of a published file: one split of most query engines."""


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Staged files that will be published as one.

    Attributes:
        index: from 0.
        count: how many parts the run has.
        files: in the order in which they are merged.
    """

    index: int
    count: int
    files: tuple[StagedFile, ...]

    @property
    def rows(self) -> int:
        """How many rows its files were counted to hold."""
        return sum(file.rows for file in self.files)


@dataclasses.dataclass(frozen=True, slots=True)
class StagedPart:
    """A part as one staged file, ready to be moved to its final place."""

    index: int
    count: int
    file: StagedFile


def plan_parts(files: Sequence[StagedFile], target_bytes: int = TARGET_BYTES) -> list[Part]:
    """Groups staged files into parts of about the target size.

    The same files in any order give the same parts. A file is never split: one that is larger than
    the target is a part by itself.
    """
    groups: list[list[StagedFile]] = []
    room = 0
    for file in sorted(files, key=lambda file: file.path):
        if not groups or file.size_bytes > room:
            groups.append([])
            room = target_bytes
        groups[-1].append(file)
        room -= file.size_bytes
    return [Part(index, len(groups), tuple(group)) for index, group in enumerate(groups)]


def merge_part(part: Part, staging: str) -> StagedPart:
    """Merges a part's files into one new staged file, a row group at a time.

    A part of one file is that file: nothing is read or written. The files merged stay where they
    are, so that this may run again.

    Raises:
        PublishError: a file is gone, or holds other rows than were counted.
    """
    if len(part.files) == 1:
        return StagedPart(part.index, part.count, part.files[0])
    writer = StagingWriter(staging, "part")
    try:
        for file in part.files:
            for batch in _read_batches(file):
                writer.write(batch)
        merged = writer.close()
    except FileNotFoundError as error:
        raise PublishError(_describe_gone(staging)) from error
    finally:
        writer.discard()
    if merged is None or merged.rows != part.rows:
        raise PublishError(f"part {part.index} holds other rows than the {part.rows} counted")
    return StagedPart(part.index, part.count, merged)


def _read_batches(file: StagedFile) -> Iterator[pa.RecordBatch]:
    with store.open_existing(file.path) as source:
        parquet = pq.ParquetFile(source)
        for group in range(parquet.num_row_groups):
            yield from parquet.read_row_group(group).to_batches()


def _describe_gone(staging: str) -> str:
    return f"a staged file below {staging} is gone: another attempt may have published this run"
