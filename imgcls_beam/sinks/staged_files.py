"""Streaming rows into staged Parquet files, with a row group at a time in memory.

::

    RecordBatch ─▶ BundleWriter ─▶ StagedFiles(its files, their summary) ─▶ merge_staged ─▶ one list

Every staged file has a name of its own, so a bundle that runs twice writes two files. Only the one
that the runner committed is reported; the other is never read, and goes with the staging folder.
"""

import contextlib
import dataclasses
import hashlib
import io
import uuid
from collections.abc import Iterable
from typing import IO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import Buffer

from imgcls_beam.rows import SCHEMA
from imgcls_beam.scoring import EngineChoice, SandboxState, Scoring
from imgcls_beam.sinks.leftovers import check_staging
from imgcls_beam.sinks.record_parts import RecordedEngine, RecordedFile, merge_engines
from imgcls_beam.stores.folder import Folder
from imgcls_beam.summary import Summary, merge_summaries, summarize

FILE_BYTES = 128 << 20
"""About the size of a published file: one split of most query engines."""

MAX_GROUP_ROWS = 16384
MAX_GROUP_BYTES = 16 << 20
"""A row group holds at most so many rows, and is closed at about so many bytes of Arrow data."""

Fact = TypeVar("Fact", Scoring, SandboxState)

_SOUGHT, _FALSE_RATIO = "image_uri", 0.01
"""A reader that looks for one image reads one in a hundred of the row groups that do not hold it: a
filter of 2 bytes a row says so, even where rows lie in no order."""


@dataclasses.dataclass(frozen=True, slots=True)
class StagedFiles:
    """Staged files, what their rows add up to, and what these rows say they were scored by."""

    files: tuple[RecordedFile, ...] = ()
    summary: Summary = Summary()
    scorings: tuple[Scoring, ...] = ()
    engines: tuple[RecordedEngine, ...] = ()
    sandbox: tuple[SandboxState, ...] = ()


def merge_staged(staged: Iterable[StagedFiles]) -> StagedFiles:
    """Adds up what bundles staged; none at all give no file and no row.

    Whatever the order in which a runner adds bundles up, the result is the same.
    """
    bundles = list(staged)
    engines = (each for bundle in bundles for each in bundle.engines)
    return StagedFiles(
        files=tuple(sorted((each for bundle in bundles for each in bundle.files), key=_path_of)),
        summary=merge_summaries(bundle.summary for bundle in bundles),
        scorings=_list_once(each for bundle in bundles for each in bundle.scorings),
        engines=merge_engines(sorted(engines, key=dataclasses.astuple)),
        sandbox=_list_once(each for bundle in bundles for each in bundle.sandbox),
    )


def _path_of(file: RecordedFile) -> str:
    return file.path


def _list_once(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Each of some facts once, in the order of their text."""
    return tuple(sorted(dict.fromkeys(facts), key=repr))


class StagingWriter:
    """Streams record batches into one new Parquet file; it is opened by the first batch."""

    def __init__(
        self, folder: Folder, prefix: str, group_bytes: int = MAX_GROUP_BYTES, model_key: str = ""
    ) -> None:
        """Chooses the file's name.

        Args:
            folder: the output folder.
            prefix: what the name begins with, its staging folder first; the rest is random.
            group_bytes: a row group of so many bytes of Arrow data is closed.
            model_key: the model of its rows.
        """
        self._model_key = model_key
        self._group_bytes = group_bytes
        self._folder = folder
        self._path = f"{prefix}-{uuid.uuid4().hex}.parquet"
        self._sink: _HashingSink | None = None
        self._parquet: pq.ParquetWriter | None = None
        self._buffered: list[pa.RecordBatch] = []
        self._rows = 0

    @property
    def size_bytes(self) -> int:
        """How long the file is so far; rows that wait for their row group are not in it."""
        return self._sink.size_bytes if self._sink is not None else 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows of `rows.SCHEMA`; the file is closed and removed if that fails."""
        try:
            self._buffered.append(batch)
            self._rows += batch.num_rows
            if self._is_full():
                self._flush()
        except BaseException:
            self.discard()
            raise

    def close(self) -> RecordedFile | None:
        """Completes the file; None where no row was written."""
        if self._rows == 0:
            return None
        try:
            self._flush()
            sink, parquet = self._open()
            parquet.close()
            sink.close()
        except BaseException:
            self.discard()
            raise
        self._sink = self._parquet = None  # complete: no longer ours to discard
        digest = sink.digest.hexdigest()
        return RecordedFile(self._path, self._rows, sink.size_bytes, digest, self._model_key)

    def discard(self) -> None:
        """Drops what was written. What cannot be removed is left: nothing refers to it."""
        self._buffered.clear()
        self._rows = 0
        parquet, sink, self._parquet, self._sink = self._parquet, self._sink, None, None
        for opened in (parquet, sink):
            if opened is not None:
                with contextlib.suppress(OSError, pa.ArrowException):
                    opened.close()
        if sink is not None:
            with contextlib.suppress(OSError):
                self._folder.remove(self._path)

    def _is_full(self) -> bool:
        rows: int = sum(batch.num_rows for batch in self._buffered)
        size_bytes: int = sum(batch.nbytes for batch in self._buffered)
        return rows >= MAX_GROUP_ROWS or size_bytes >= self._group_bytes

    def _flush(self) -> None:
        """Writes a row group, in the order of its URIs: it is a tenth of the time, and smaller."""
        if self._buffered:
            table = pa.Table.from_batches(self._buffered, SCHEMA).sort_by(_SOUGHT)
            self._open(table.num_rows)[1].write_table(table, row_group_size=MAX_GROUP_ROWS)
            self._buffered.clear()

    def _open(self, group_rows: int = MAX_GROUP_ROWS) -> "tuple[_HashingSink, pq.ParquetWriter]":
        """The file; opened for row groups as large as the first, so a small file stays small."""
        if self._sink is None or self._parquet is None:
            check_staging(self._folder, self._path.rpartition("/")[0])
            self._sink = _HashingSink(self._folder.open_new(self._path))
            seeks = {"ndv": min(group_rows, MAX_GROUP_ROWS), "fpp": _FALSE_RATIO}
            self._parquet = pq.ParquetWriter(
                self._sink,
                SCHEMA,
                compression="zstd",
                use_compliant_nested_type=True,
                store_schema=True,
                write_statistics=True,
                bloom_filter_options={_SOUGHT: seeks},
            )
        return self._sink, self._parquet


class BundleWriter:
    """Streams one bundle's rows into staged files of bounded size, and adds them up.

    Rows of different models go to different files: the model is a key of a file's path.
    """

    def __init__(self, folder: Folder, staging: str, file_bytes: int = FILE_BYTES) -> None:
        """Takes the staging folder; no file is opened before the first batch.

        Args:
            folder: the output folder.
            staging: the staging folder in it.
            file_bytes: a file of so many bytes is closed, and another one begun.
        """
        self._folder = folder
        self._prefix = f"{staging}/staged"
        self._file_bytes = file_bytes
        self._writers: dict[Scoring, StagingWriter] = {}
        self._files: list[RecordedFile] = []
        self._summary = Summary()
        self._engines: tuple[RecordedEngine, ...] = ()
        self._sandbox: dict[SandboxState, None] = {}

    def write(
        self,
        batch: pa.RecordBatch,
        scoring: Scoring,
        engines: Iterable[EngineChoice] = (),
        sandbox: Iterable[SandboxState] = (),
    ) -> None:
        """Adds rows of `rows.SCHEMA`, all of one scoring, which these engines ran.

        Args:
            batch: the rows.
            scoring: of all of them.
            engines: what ran the model.
            sandbox: where the images were decoded.
        """
        self._sandbox.update(dict.fromkeys(sandbox))
        key = scoring.model.key
        ran = (RecordedEngine(key, each.name, each.why) for each in engines)
        self._engines = merge_engines((*self._engines, *ran))
        if scoring not in self._writers:
            self._writers[scoring] = self._make_writer(scoring)
        writer = self._writers[scoring]
        writer.write(batch)
        self._summary = merge_summaries((self._summary, summarize(batch)))
        if writer.size_bytes >= self._file_bytes:
            self._take_file(scoring)

    def close(self) -> StagedFiles | None:
        """Completes the last files; None where no row was written."""
        for scoring in self._writers:
            self._take_file(scoring)
        if not self._files:
            return None
        staged = (tuple(self._files), self._summary, tuple(self._writers), self._engines)
        return StagedFiles(*staged, tuple(self._sandbox))

    def _take_file(self, scoring: Scoring) -> None:
        file = self._writers[scoring].close()
        if file is not None:
            self._files.append(file)
        self._writers[scoring] = self._make_writer(scoring)

    def _make_writer(self, scoring: Scoring) -> StagingWriter:
        group_bytes = min(MAX_GROUP_BYTES, self._file_bytes)
        return StagingWriter(self._folder, self._prefix, group_bytes, scoring.model.key)

    def discard(self) -> None:
        """Drops what was written."""
        for writer in self._writers.values():
            writer.discard()
        with contextlib.suppress(OSError):
            self._folder.remove(*(file.path for file in self._files))
        self._files.clear()


class _HashingSink(io.RawIOBase):
    """Passes bytes on and hashes them, so that no file is read again to be hashed."""

    def __init__(self, target: IO[bytes]) -> None:
        super().__init__()
        self._target = target
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size_bytes

    def write(self, data: Buffer) -> int:
        view = memoryview(data)
        self._target.write(view)
        self.digest.update(view)
        self.size_bytes += view.nbytes
        return view.nbytes

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._target.close()
