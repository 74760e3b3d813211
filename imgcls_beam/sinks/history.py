"""Earlier rows: which published files matter to a new run, and the images in them.

::

    OUT/runs/*.json ─▶ find_history ─▶ HistoryFile ─▶ read_known_rows ─▶ KnownRow

Only files that a run record names are read, so nothing that was not committed counts. Nothing here
knows of Beam, and a file is read a row group at a time, and only where its statistics say that it
may matter.
"""

import contextlib
import dataclasses
import enum
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq

from imgcls_beam.listing import row_digest, uri_digest
from imgcls_beam.options import IfExists, Only, OutputOptions
from imgcls_beam.scoring import Scoring
from imgcls_beam.sinks.record import RunRecord, read_records
from imgcls_beam.sinks.record_parts import RecordedModel
from imgcls_beam.stores.folder import Folder
from imgcls_beam.stores.opening import open_folder


class Kind(enum.StrEnum):
    """What an earlier row says of an image."""

    SCORED = "scored"
    """A good row: same model, same parameters."""
    PRESENT = "present"
    """A row, of whatever status, in the very run to which rows are to be added."""
    FAILED = "failed"
    """An error row in the very run whose failures are tried again."""


SAID = {
    Kind.SCORED: "image_version",
    Kind.PRESENT: "attributes",
    Kind.FAILED: "attributes",
}
"""The column that matters beside the URI. What was scored is an image of that version, whatever was
carried with it; what is present or failed is one reference."""


class KnownRow(NamedTuple):
    """What one earlier row says.

    Attributes:
        digest: `uri_digest` of the image.
        kind: what it says.
        version: of the image, where its store gives one and it was scored.
        reference: `row_digest` of the row, where it says something of one reference only.
    """

    digest: bytes
    kind: Kind
    version: str | None = None
    reference: bytes = b""

    @classmethod
    def of_row(cls, kind: Kind, uri: str, said: str | None) -> "KnownRow":
        """What a row says: of an image that was scored, its version; else its attributes."""
        if kind is Kind.SCORED:
            return cls(uri_digest(uri), kind, said)
        return cls(uri_digest(uri), kind, reference=row_digest(uri, said))


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Which of the listed images a run wants, by the rows of earlier runs.

    Attributes:
        output: folder of the published runs; None for those of `table`.
        table: BigQuery table of published rows.
        run_id: of this run.
        only: see `OutputOptions`.
        if_exists: see `OutputOptions`.
        scoring: the model of this run, and what is asked of it.
    """

    output: str | None
    table: str | None
    run_id: str
    only: Only
    if_exists: IfExists
    scoring: Scoring

    @classmethod
    def of_run(cls, output: OutputOptions, scoring: Scoring) -> "Selection | None":
        """The selection of a run; None where it wants every image."""
        if output.only == "all" and output.if_exists != "append":
            return None
        return cls(
            None if output.is_scratch else output.output,
            output.table,
            output.run_id,
            output.only,
            output.if_exists,
            scoring,
        )

    def find_kinds(self, record: RunRecord) -> tuple[Kind, ...]:
        """What the rows of this model in a published run say to this one.

        A run that is about to be replaced says nothing: its rows go.
        """
        if record.run_id == self.run_id and self.only == "errors":
            return (Kind.FAILED,)
        is_own = record.run_id == self.run_id
        own = RecordedModel.of_scoring(self.scoring).identity
        is_same = own in {model.identity for model in record.models}
        stays = not is_own or self.if_exists == "append"
        kinds = {
            Kind.PRESENT: is_own and stays,
            Kind.SCORED: self.only == "new" and is_same and stays,
        }
        return tuple(kind for kind, applies in kinds.items() if applies)


@dataclasses.dataclass(frozen=True, slots=True)
class HistoryFile:
    """A published file, and what its rows say."""

    folder: Folder
    path: str
    kind: Kind


def find_history(selection: Selection) -> Iterator[HistoryFile]:
    """The published files that matter to a selection, run by run."""
    folder = open_folder("output", str(selection.output))
    for record in read_records(folder):
        own = [file for file in record.files if file.model_key == selection.scoring.model.key]
        for kind in selection.find_kinds(record):
            yield from (HistoryFile(folder, file.path, kind) for file in own)


def read_known_rows(file: HistoryFile) -> Iterator[KnownRow]:
    """What the rows of one file say, in their order; nothing where it has been replaced by now."""
    with contextlib.suppress(FileNotFoundError):
        yield from _read_known_rows(file)


def _read_known_rows(file: HistoryFile) -> Iterator[KnownRow]:
    status = {Kind.SCORED: "ok", Kind.FAILED: "error", Kind.PRESENT: None}[file.kind]
    with file.folder.open_existing(file.path) as source:
        parquet = pq.ParquetFile(source)
        for group in range(parquet.num_row_groups):
            if not _may_hold(parquet.metadata.row_group(group), status):
                continue
            said = SAID[file.kind]
            rows = parquet.read_row_group(group, ["image_uri", said, "status"])
            if status is not None:
                rows = rows.filter(pc.equal(rows["status"], status))
            for row in zip(rows["image_uri"].to_pylist(), rows[said].to_pylist(), strict=True):
                yield KnownRow.of_row(file.kind, *row)


def _may_hold(group: pq.RowGroupMetaData, status: str | None) -> bool:
    columns = map(group.column, range(group.num_columns))
    found = next(column.statistics for column in columns if column.path_in_schema == "status")
    if status is None or found is None or not found.has_min_max:
        return True
    return bool(found.min <= status <= found.max)
