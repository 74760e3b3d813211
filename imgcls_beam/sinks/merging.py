"""Staged files into published ones: which are published as one, and merging them.

Nothing here knows of Beam, and each function may run again: files that were merged stay.
"""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imgcls_beam.errors import PublishError
from imgcls_beam.listing import Distinct, row_digest
from imgcls_beam.rows import fit_columns
from imgcls_beam.sinks.read_back import MERGE_BYTES, hold_bytes, read_back
from imgcls_beam.sinks.record_parts import RecordedFile
from imgcls_beam.sinks.session import ERRORS, Session
from imgcls_beam.sinks.staged_files import FILE_BYTES, StagedFiles, StagingWriter
from imgcls_beam.stores.at_once import run_at_once
from imgcls_beam.stores.folder import Folder
from imgcls_beam.summary import Summary, merge_summaries, summarize

_REFERENCE = ("image_uri", "attributes")
"""The columns by which a reference is known."""


@dataclasses.dataclass(frozen=True, slots=True)
class Merge:
    """Staged files of one model that will be published as one.

    Attributes:
        index: from 0, among those of the model.
        count: how many files the model has.
        files: in the order in which they are merged.
        retries: files with rows of images that were tried again: error rows of the same images,
            in published ones among `files`, are left out. None are looked for where this is empty.
    """

    index: int
    count: int
    files: tuple[RecordedFile, ...]
    retries: tuple[RecordedFile, ...] = ()

    @property
    def model_key(self) -> str:
        """The model of all its rows."""
        return self.files[0].model_key

    @property
    def rows(self) -> int:
        """How many rows its files were counted to hold."""
        return sum(file.rows for file in self.files)


@dataclasses.dataclass(frozen=True, slots=True)
class MergedFile:
    """One staged file, ready to be moved to its final path.

    Attributes:
        index: from 0, among those of the model.
        count: how many files the model has.
        file: holds its rows; without any, it has no path: there is no file.
        replaced: files that were published before, and that it replaces.
        replaced_rows: how many rows these hold.
        dropped: what the error rows add up to that it left out.
        version: of the file as it was read back; None where the store has none.
    """

    index: int
    count: int
    file: RecordedFile
    replaced: tuple[str, ...] = ()
    replaced_rows: int = 0
    dropped: Summary = Summary()
    version: str | None = None


def plan_session(staged: StagedFiles, session: Session) -> list[Merge]:
    """What a session will publish; for a retry, files that hold error rows are written anew.

    Raises:
        PublishError: a published file is gone.
    """
    if session.base.how != ERRORS or not staged.files:
        return plan_merges(staged.files, session.file_bytes)
    tried = {file.model_key for file in staged.files}
    files = [file for file in session.base.files if file.model_key in tried]
    try:
        failed = find_failed_files(session.folder, files)
    except FileNotFoundError as error:
        raise _make_gone_error("a published file") from error
    return plan_merges((*staged.files, *failed), session.file_bytes, retries=staged.files)


def plan_merges(
    files: Iterable[RecordedFile],
    target_bytes: int = FILE_BYTES,
    retries: Sequence[RecordedFile] = (),
) -> list[Merge]:
    """Groups the staged files of each model into files of about the target size.

    The same files in any order give the same merges. A file is never split: one that is larger than
    the target is merged with no other.

    Args:
        files: to be grouped; published ones that are written anew may be among them.
        target_bytes: of one file.
        retries: see `Merge.retries`.
    """
    by_model: dict[str, list[RecordedFile]] = collections.defaultdict(list)
    for file in files:
        by_model[file.model_key].append(file)
    merges = []
    for key, own in sorted(by_model.items()):
        groups = _group(own, target_bytes)
        tried = tuple(file for file in retries if file.model_key == key)
        merges += [Merge(i, len(groups), tuple(each), tried) for i, each in enumerate(groups)]
    return merges


def _group(files: Sequence[RecordedFile], target_bytes: int) -> list[list[RecordedFile]]:
    groups: list[list[RecordedFile]] = []
    room = 0
    for file in sorted(files, key=lambda file: file.path):
        if not groups or file.size_bytes > room:
            groups.append([])
            room = target_bytes
        groups[-1].append(file)
        room -= file.size_bytes
    return groups


def find_failed_files(folder: Folder, files: Iterable[RecordedFile]) -> list[RecordedFile]:
    """The published files that hold error rows, by the statistics in their footers."""
    files = list(files)
    holding = run_at_once(functools.partial(_look_for_errors, folder), files, folder.at_once)
    return list(itertools.compress(files, holding))


def _look_for_errors(folder: Folder, file: RecordedFile) -> bool:
    with folder.open_existing(file.path) as source:
        return _holds_errors(pq.read_metadata(source))


def merge_all(merges: Sequence[Merge], folder: Folder, staging: str) -> list[MergedFile]:
    """`merge_files` of each, as many at once as the store and the memory bear."""
    merge = functools.partial(merge_files, folder=folder, staging=staging)
    return run_at_once(merge, merges, folder.at_once)


def merge_files(merge: Merge, folder: Folder, staging: str) -> MergedFile:
    """Merges files into one new staged file, a row group at a time, and reads it back.

    A single file is taken as it is. The files merged stay where they are, so that this may run
    again.

    Raises:
        PublishError: a file is gone, holds other rows than were counted, or other bytes than were
            written.
    """
    try:
        merged, dropped = _merge(merge, folder, staging)
        version = read_back(folder, merged) if merged.rows else None
    except FileNotFoundError as error:
        raise _make_gone_error(f"a staged file below {folder.url_of(staging)}") from error
    if merged.rows + dropped.rows != merge.rows:
        raise PublishError(f"file {merge.index} holds other rows than the {merge.rows} counted")
    published = [file for file in merge.files if _is_published(file, merge, staging)]
    return MergedFile(
        merge.index,
        merge.count,
        merged,
        tuple(file.path for file in published),
        sum(file.rows for file in published),
        dropped,
        version,
    )


def _make_gone_error(what: str) -> PublishError:
    return PublishError(f"{what} is gone: another session may have published this run")


def _merge(merge: Merge, folder: Folder, staging: str) -> tuple[RecordedFile, Summary]:
    if len(merge.files) == 1 and not merge.retries:
        return merge.files[0], Summary()
    writer = StagingWriter(folder, f"{staging}/merged", model_key=merge.model_key)
    dropped = [Summary()]
    try:
        with hold_bytes(MERGE_BYTES), Distinct() as retried:
            for row in _read_references(folder, merge.retries):
                retried.add(row_digest(*row))
            for file in merge.files:
                for batch in _read_batches(folder, file):
                    if _is_published(file, merge, staging):
                        is_dropped = _find_retried(batch, retried)
                        dropped.append(summarize(batch.filter(is_dropped)))
                        batch = batch.filter(pc.invert(is_dropped))
                    writer.write(batch)
        merged = writer.close() or RecordedFile("", 0, 0, "", merge.model_key)
    finally:
        writer.discard()
    return merged, merge_summaries(dropped)


def _is_published(file: RecordedFile, merge: Merge, staging: str) -> bool:
    return bool(merge.retries) and not file.path.startswith(f"{staging}/")


def _find_retried(batch: pa.RecordBatch, retried: Distinct) -> pa.Array:
    """Which rows say that a reference failed that has been tried again; one boolean a row."""
    rows = zip(batch["status"].to_pylist(), *_list_references(batch), strict=True)
    return pa.array(
        [status == "error" and row_digest(*row) in retried for status, *row in rows], pa.bool_()
    )


def _read_references(
    folder: Folder, files: Sequence[RecordedFile]
) -> Iterator[tuple[str, str | None]]:
    for file in files:
        for batch in _read_batches(folder, file, _REFERENCE):
            yield from zip(*_list_references(batch), strict=True)


def _list_references(batch: pa.RecordBatch) -> list[list[Any]]:
    return [batch[name].to_pylist() for name in _REFERENCE]


def _holds_errors(metadata: pq.FileMetaData) -> bool:
    """`error` is the least of the three words, so it is the minimum where it occurs."""
    column = metadata.schema.names.index("status")
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    found = (group.column(column).statistics for group in groups)
    return any(each is None or not each.has_min_max or each.min == "error" for each in found)


def _read_batches(
    folder: Folder, file: RecordedFile, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    with folder.open_pinned(file.path, file.size_bytes) as (source, _):
        parquet = pq.ParquetFile(source)
        for group in range(parquet.num_row_groups):
            batches = parquet.read_row_group(group, columns).to_batches()
            yield from batches if columns else map(fit_columns, batches)
