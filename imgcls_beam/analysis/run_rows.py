"""A finished run → its record, and its rows as Arrow batches of the columns that are asked for.

::

    OUT/runs/*.json ──┐                 ┌─▶ record
                      ├─▶ open_run ─────┤
    <table>_runs ─────┘                 └─▶ read(columns) ─▶ RecordBatch, RecordBatch, …

Only files that the record names are read, a batch at a time, whatever the size of the run.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from imgcls_beam.analysis import folder_runs, table_runs
from imgcls_beam.bigquery import parse_table
from imgcls_beam.errors import ConfigError
from imgcls_beam.sinks import RecordedModel, RunRecord

_SHOWN_RUNS = 5


@dataclasses.dataclass(frozen=True, slots=True)
class RunPlace:
    """Where runs are: an output folder, or a table of BigQuery.

    Attributes:
        output: path or URL of the folder; None where it is a table.
        table: `project.dataset.table`; None where it is a folder.

    Raises:
        ConfigError: neither is given, or both.
    """

    output: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        """Checks that there is one place."""
        if (self.output is None) == (self.table is None):
            problem = "give the folder of the rows, or --output_table=P.D.T, and not both"
            raise ConfigError("output", self.output, problem)

    def __str__(self) -> str:
        """As it was given."""
        return str(self.output if self.table is None else self.table)


class RunRows(Protocol):
    """A finished run that can be read."""

    @property
    def record(self) -> RunRecord:
        """Its record. That of a table has what its row has: no engines, nothing passed over."""

    @property
    def place(self) -> str:
        """The folder or table, as it was given."""

    def read(
        self, columns: Sequence[str], model_key: str | None = None, status: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Reads these columns of its rows, in this order, in batches of up to 16,384 rows.

        Rows of a folder come file by file, in the order of their URIs in each; those of a table in
        no order. A column that a file of an earlier version lacks is null.

        Args:
            columns: names of `rows.SCHEMA`.
            model_key: only the rows of this model.
            status: only rows of this status.

        Raises:
            ConfigError: the rows cannot be read.
            RowsGoneError: some of them are gone; perhaps only after the last batch.
        """


def open_run(place: RunPlace, run_id: str | None = None) -> RunRows:
    """Opens a finished run.

    Args:
        place: where it is.
        run_id: its name; None for the one that was finished last.

    Raises:
        ConfigError: there is no such run, with those that there are; or the place cannot be read.
    """
    found = _find_run(place, run_id)
    if found is not None:
        return found
    records = list_runs(place)
    if run_id is None or not records:
        raise ConfigError(*_name_place(place), "there is no finished run")
    names = ", ".join(each.run_id for each in records[: -_SHOWN_RUNS - 1 : -1])
    more = f" and {len(records) - _SHOWN_RUNS:,} earlier" if len(records) > _SHOWN_RUNS else ""
    problem = f"there is no such finished run in {place}; there is {names}{more}"
    raise ConfigError("run_id", run_id, problem)


def list_runs(place: RunPlace) -> list[RunRecord]:
    """The records of all finished runs, the one that was finished last at the end.

    Raises:
        ConfigError: the place cannot be read.
    """
    if place.table is not None:
        records = table_runs.list_records(parse_table(place.table))
    else:
        records = folder_runs.list_records(str(place.output))
    return sorted(records, key=_get_age)


def choose_model(
    record: RunRecord, named: str | None = None, option: str = "model"
) -> RecordedModel:
    """The model of a run whose rows are meant.

    Args:
        record: of the run.
        named: its id or key; needed where the run has several.
        option: that names it.

    Raises:
        ConfigError: the run has none of this name, or several and none is named.
    """
    found = [each for each in record.models if named in (None, each.id, each.key)]
    if len(found) == 1:
        return found[0]
    if not record.models:
        run_option = "run_id" if option == "model" else "with"
        raise ConfigError(run_option, record.run_id, "it has no rows of any model")
    keys = ", ".join(each.key for each in record.models)
    raise ConfigError(option, named, f"run {record.run_id} has {keys}; name one of them")


def _find_run(place: RunPlace, run_id: str | None) -> RunRows | None:
    if place.table is not None:
        return table_runs.find_table_run(parse_table(place.table), run_id)
    if run_id is not None:
        return folder_runs.find_folder_run(str(place.output), run_id)
    records = list_runs(place)
    return folder_runs.FolderRun(records[-1], str(place.output)) if records else None


def _name_place(place: RunPlace) -> tuple[str, str]:
    return ("output" if place.table is None else "output_table", str(place))


def _get_age(record: RunRecord) -> tuple[str, str]:
    return record.finished_at.isoformat(), record.run_id
