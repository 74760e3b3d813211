"""Fragments into parts: which staged files are published as one, and merging them.

Nothing here knows of Beam, and each function may run again: files that were merged stay.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imgcls_beam.errors import PublishError
from imgcls_beam.listing import Distinct, uri_digest
from imgcls_beam.sinks import store
from imgcls_beam.sinks.fragments import FILE_BYTES, StagedFile, StagingWriter
from imgcls_beam.sinks.layout import join
from imgcls_beam.sinks.record import RunRecord
from imgcls_beam.sinks.summary import Summary, merge_summaries, summarize


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Staged files that will be published as one.

    Attributes:
        index: from 0.
        count: how many parts the run has.
        files: in the order in which they are merged.
        retries: files with rows of images that were tried again: error rows of the same images,
            in published ones among `files`, are left out. None are looked for where this is empty.
    """

    index: int
    count: int
    files: tuple[StagedFile, ...]
    retries: tuple[StagedFile, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows its files were counted to hold."""
        return sum(file.rows for file in self.files)


@dataclasses.dataclass(frozen=True, slots=True)
class StagedPart:
    """A part as one staged file, ready to be moved to its final place.

    Attributes:
        index: from 0.
        count: how many parts the run has.
        file: holds its rows; without any, it has no path: there is no file.
        published: files that were published before, of which it takes the place.
        published_rows: how many rows these hold.
        dropped: what the error rows add up to that it left out.
    """

    index: int
    count: int
    file: StagedFile
    published: tuple[str, ...] = ()
    published_rows: int = 0
    dropped: Summary = Summary()


def plan_parts(
    files: Sequence[StagedFile],
    target_bytes: int = FILE_BYTES,
    retries: tuple[StagedFile, ...] = (),
) -> list[Part]:
    """Groups staged files into parts of about the target size.

    The same files in any order give the same parts. A file is never split: one that is larger than
    the target is a part by itself.

    Args:
        files: to be grouped; published ones that are written anew may be among them.
        target_bytes: of one part.
        retries: see `Part.retries`.
    """
    groups: list[list[StagedFile]] = []
    room = 0
    for file in sorted(files, key=lambda file: file.path):
        if not groups or file.size_bytes > room:
            groups.append([])
            room = target_bytes
        groups[-1].append(file)
        room -= file.size_bytes
    count = len(groups)
    return [Part(index, count, tuple(group), retries) for index, group in enumerate(groups)]


def find_failed_files(output: str, record: RunRecord) -> list[StagedFile]:
    """The published files of a run that hold error rows, by the statistics in their footers."""
    found = []
    for file in record.files:
        url = join(output, file.path)
        with store.open_existing(url) as source:
            if _holds_errors(pq.read_metadata(source)):
                found.append(StagedFile(url, file.rows, file.size_bytes, file.sha256))
    return found


def merge_part(part: Part, staging: str) -> StagedPart:
    """Merges a part's files into one new staged file, a row group at a time, and reads it back.

    A part of one file is that file, as it is. The files merged stay where they are, so that this
    may run again.

    Raises:
        PublishError: a file is gone, holds other rows than were counted, or other bytes than were
            written.
    """
    try:
        merged, dropped = _merge_files(part, staging)
        if merged.rows and store.hash_file(merged.path) != merged.sha256:
            raise PublishError(f"part {part.index} holds other bytes than were written")
    except FileNotFoundError as error:
        raise PublishError(_describe_gone(staging)) from error
    if merged.rows + dropped.rows != part.rows:
        raise PublishError(f"part {part.index} holds other rows than the {part.rows} counted")
    published = [file for file in part.files if _is_published(file, part, staging)]
    return StagedPart(
        part.index,
        part.count,
        merged,
        tuple(file.path for file in published),
        sum(file.rows for file in published),
        dropped,
    )


def _merge_files(part: Part, staging: str) -> tuple[StagedFile, Summary]:
    if len(part.files) == 1 and not part.retries:
        return part.files[0], Summary()
    writer, dropped = StagingWriter(staging, "part"), [Summary()]
    try:
        with Distinct() as retried:
            for uri in _read_uris(part.retries):
                retried.add(uri_digest(uri))
            for file in part.files:
                for batch in _read_batches(file):
                    if _is_published(file, part, staging):
                        is_dropped = _find_retried(batch, retried)
                        dropped.append(summarize(batch.filter(is_dropped)))
                        batch = batch.filter(pc.invert(is_dropped))
                    writer.write(batch)
        merged = writer.close() or StagedFile("", 0, 0, "")
    finally:
        writer.discard()
    return merged, merge_summaries(dropped)


def _is_published(file: StagedFile, part: Part, staging: str) -> bool:
    return bool(part.retries) and not file.path.startswith(join(staging, ""))


def _find_retried(batch: pa.RecordBatch, retried: Distinct) -> pa.Array:
    """Which rows say that an image failed that has been tried again; one boolean a row."""
    pairs = zip(batch["image_uri"].to_pylist(), batch["status"].to_pylist(), strict=True)
    return pa.array(
        [status == "error" and uri_digest(uri) in retried for uri, status in pairs], pa.bool_()
    )


def _read_uris(files: Sequence[StagedFile]) -> Iterator[str]:
    for file in files:
        for batch in _read_batches(file, ["image_uri"]):
            yield from batch["image_uri"].to_pylist()


def _holds_errors(metadata: pq.FileMetaData) -> bool:
    """`error` is the least of the three words, so it is the minimum where it occurs."""
    column = metadata.schema.names.index("status")
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    found = (group.column(column).statistics for group in groups)
    return any(each is None or not each.has_min_max or each.min == "error" for each in found)


def _read_batches(
    file: StagedFile, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    with store.open_existing(file.path) as source:
        parquet = pq.ParquetFile(source)
        for group in range(parquet.num_row_groups):
            yield from parquet.read_row_group(group, columns).to_batches()


def _describe_gone(staging: str) -> str:
    return f"a staged file below {staging} is gone: another attempt may have published this run"
