"""Runs of a BigQuery table: rows, and the record as far as the table of runs has it."""

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from imgcls_beam.bigquery import OUTPUT_OPTION, TableName, connect, refuse_faults, run_query
from imgcls_beam.errors import RowsGoneError
from imgcls_beam.rows import SCHEMA
from imgcls_beam.sinks import RunRecord
from imgcls_beam.sinks.record import FORMAT_VERSION
from imgcls_beam.warehouse.columns import RUNS

_PAGE_ROWS = 10_000

_RECORDS = """
SELECT {columns} FROM `{runs}`
WHERE state = 'DONE' AND @run_id IN ('', run_id)
ORDER BY finished_at DESC, run_id DESC
"""
_ROWS = """
SELECT {columns} FROM `{table}`
WHERE run_id = @run_id AND run_date = DATE(@run_date)
  AND @model_key IN ('', model_key) AND @status IN ('', status)
"""
_COUNT = """
SELECT COUNT(*) FROM `{table}` WHERE run_id = @run_id AND run_date = DATE(@run_date)
"""


@dataclasses.dataclass(frozen=True, slots=True)
class TableRun:
    """A run of a table: `RunRows`."""

    record: RunRecord
    table: TableName

    @property
    def place(self) -> str:
        """The table's name."""
        return str(self.table)

    def read(
        self, columns: Sequence[str], model_key: str | None = None, status: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """See `RunRows`."""
        values = {**self._names, "model_key": model_key or "", "status": status or ""}
        rows = _ask(self.table, _ROWS.format(columns=", ".join(columns), table=self.table), values)
        schema = pa.schema([SCHEMA.field(name) for name in columns])
        found = 0
        while page := list(itertools.islice(rows, _PAGE_ROWS)):
            cells = zip(*page, strict=True)
            arrays = [pa.array(each, f.type) for each, f in zip(cells, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            found += len(page)
        if found < self.record.counts["listed" if status is None else status]:
            self._check_rows()  # unless the other rows are of another model

    @property
    def _names(self) -> dict[str, str]:
        return {"run_id": self.record.run_id, "run_date": self.record.run_date.isoformat()}

    def _check_rows(self) -> None:
        """Checks that the table has all rows of the run, of whatever model.

        Raises:
            RowsGoneError: it has not.
        """
        counted = _ask(self.table, _COUNT.format(table=self.table), self._names)
        found, wanted = next(counted, (0,))[0], self.record.listed
        if found < wanted:
            problem = (
                f"it has {found:,} of the {wanted:,} rows of run {self.record.run_id}; probably "
                f"its partition {self.record.run_date} has expired (the partition expiration of "
                "the table), or rows were deleted"
            )
            raise RowsGoneError(OUTPUT_OPTION, str(self.table), problem)


def find_table_run(table: TableName, run_id: str | None) -> TableRun | None:
    """A finished run of this name, or the one that was finished last; None where there is none.

    Raises:
        ConfigError: BigQuery refuses to say.
    """
    found = next(_read_records(table, run_id or ""), None)
    return None if found is None else TableRun(found, table)


def list_records(table: TableName) -> list[RunRecord]:
    """The records of the finished runs of a table.

    Raises:
        ConfigError: BigQuery refuses to say.
    """
    return list(_read_records(table))


def _read_records(table: TableName, run_id: str = "") -> Iterator[RunRecord]:
    names = [column.name for column in RUNS]
    sql = _RECORDS.format(columns=", ".join(names), runs=table.runs)
    for row in _ask(table, sql, {"run_id": run_id}):
        yield _to_record(dict(zip(names, row, strict=True)))


def _to_record(row: Mapping[str, Any]) -> RunRecord:
    """The record of which `warehouse.columns` made this row; what that left out is not there."""
    configuration = json.loads(row["configuration"])
    counts = {name: row[name] for name in ("listed", "ok", "error", "skipped")}
    added = {name: row[name] or 0 for name in ("duplicates", "shared")}
    fields = {
        **row,
        **added,
        "format_version": FORMAT_VERSION,
        "problem": None,
        "counts": counts,
        "configuration": configuration,
        "library_versions": json.loads(row["library_versions"]),
        "models": list(_to_models(row, configuration)),
    }
    return RunRecord.from_json(json.dumps(fields, default=_to_text))


def _to_models(
    row: Mapping[str, Any], configuration: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The models, whose names stand side by side in a row. No key and no revision has a comma."""
    keys = row["model_key"].split(", ") if row["model_key"] else []
    revisions = row["model_revision"].split(", ")
    ids = [row["model_id"]] if len(keys) == 1 else row["model_id"].split(", ")
    if len(ids) != len(keys):
        ids = [key.rpartition("@")[0] for key in keys]
    given = row["parameters"] or {}
    preprocess = configuration.get("decode", {}).get("preprocess", "exact")
    parameters = {name: given.get(name) for name in ("top_k", "function_to_apply")}
    for model_id, revision, key in zip(ids, revisions, keys, strict=True):
        named = {"id": model_id, "revision": revision, "key": key}
        yield {**named, "parameters": parameters, "preprocess": preprocess}


def _ask(table: TableName, sql: str, values: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    """The answer's rows; none where the table is not there."""
    client = connect(OUTPUT_OPTION, table)
    with contextlib.suppress(FileNotFoundError), refuse_faults(OUTPUT_OPTION, str(table)):
        yield from run_query(client, sql, values, _PAGE_ROWS)


def _to_text(value: Any) -> str:  # noqa: ANN401  times and dates of a row
    return str(value.isoformat())
