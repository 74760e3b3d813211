"""DuckDB's queries over an output folder: what BigQuery has as tables is files and records here."""

import textwrap
from collections.abc import Sequence

from imgcls_beam.warehouse.columns import PREDICTIONS, REPEATED, RUNS, Column

PREDICTIONS_NAME, RUNS_NAME = "predictions", "prediction_runs"

_DUCKDB_TYPES = {
    "STRING": "VARCHAR",
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "TIMESTAMP": "TIMESTAMPTZ",
    "DATE": "DATE",
}
_PATH = r"run_date=[^/]+/model=[^/]+/run_id=[^/]+/[^/]+$"
_LINE_CHARS, _TIE = 96, "\0"
_MODEL, _COUNTS = "model_", ("listed", "ok", "error", "skipped")
_AS_TEXT = ("configuration", "library_versions")


def read_runs(output: str) -> str:
    """DuckDB's query for `prediction_runs` over the run records below an output folder."""
    wanted = list_columns([_read_run_column(column) for column in RUNS])
    kinds = ",\n    ".join(f"{name}: '{kind}'" for name, kind in _record_types().items())
    place = quote(f"{escape_glob(output)}/runs/*.json")
    return f"SELECT\n{wanted}\nFROM read_json({place}, columns = {{\n    {kinds}}})"


def read_predictions(output: str) -> str:
    """DuckDB's query for `predictions` over the Parquet files below an output folder.

    Only files that a committed record names are read: what a run that never ended left, or what a
    replaced one did, is not seen. The record's paths are relative to the output folder, so only
    the last four components are compared, and it does not matter how the folder is spelled.
    """
    place = quote(f"{escape_glob(output)}/{PREDICTIONS_NAME}/**/*.parquet")
    return f"""\
SELECT
{list_columns([f"p.{column.name}" for column in PREDICTIONS])}
FROM read_parquet({place}, hive_partitioning = true,
  hive_types = {{run_id: VARCHAR, model: VARCHAR, run_date: DATE}}, filename = true) AS p
WHERE '{PREDICTIONS_NAME}/' || regexp_extract(
  p.filename, '{_PATH}') IN (
  SELECT file.path
  FROM (SELECT unnest(files) AS file FROM {RUNS_NAME} WHERE state = 'DONE'))"""


def list_columns(expressions: Sequence[str]) -> str:
    """A select list, in lines that end between two columns."""
    whole = ", ".join(expression.replace(" ", _TIE) for expression in expressions)
    lines = textwrap.wrap(whole, _LINE_CHARS, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"  {line.replace(_TIE, ' ')}" for line in lines)


def quote(text: str) -> str:
    """A text literal of DuckDB."""
    return "'" + text.replace("'", "''") + "'"


def escape_glob(path: str) -> str:
    """A path of which nothing is taken for a pattern."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in path.rstrip("/"))


def name_type(column: Column) -> str:
    """DuckDB's type of a column."""
    kind = _DUCKDB_TYPES.get(column.kind, "")
    if column.fields:
        fields = ", ".join(f'"{field.name}" {name_type(field)}' for field in column.fields)
        kind = f"STRUCT({fields})"
    return f"{kind}[]" if column.mode == REPEATED else kind


def _read_run_column(column: Column) -> str:
    """The expression that takes a column of `RUNS` out of a record."""
    name = column.name
    if name.startswith(_MODEL):
        return f"model.{name.removeprefix(_MODEL)} AS {name}"
    if name in _COUNTS:
        return f"counts.{name} AS {name}"
    return f"CAST({name} AS VARCHAR) AS {name}" if name in _AS_TEXT else name


def _record_types() -> dict[str, str]:
    """DuckDB's types of what a record holds, by name: `RUNS` before it was made flat."""
    model = [c for c in RUNS if c.name.startswith(_MODEL)]
    fields = ", ".join(f"{c.name.removeprefix(_MODEL)} {name_type(c)}" for c in model)
    counts = ", ".join(f"{name} BIGINT" for name in _COUNTS)
    nested = {"model": f"STRUCT({fields})", "counts": f"STRUCT({counts})"}
    flat = [c for c in RUNS if c not in model and c.name not in _COUNTS]
    return nested | {c.name: "JSON" if c.name in _AS_TEXT else name_type(c) for c in flat}
