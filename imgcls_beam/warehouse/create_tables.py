"""The two tables: made where they are absent, else checked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imgcls_beam.bigquery import OUTPUT_OPTION, TableName, connect, look_up, refuse_faults
from imgcls_beam.errors import ConfigError
from imgcls_beam.warehouse.columns import (
    CLUSTERING,
    NULLABLE,
    PARTITION,
    PREDICTIONS,
    REPEATED,
    REQUIRED,
    RUNS,
    Column,
    describe,
)

if TYPE_CHECKING:
    from google.cloud import bigquery

_SQL_NAMES = {"STRING": "STRING", "INTEGER": "INT64", "FLOAT": "FLOAT64"}
_OTHER_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "STRUCT": "RECORD"}


def ensure_tables(name: TableName) -> None:
    """Makes `predictions` and `prediction_runs` where they are absent.

    Both are partitioned by run_date; predictions are clustered too. Columns that a table has beside
    ours stay, and are null in our rows.

    Raises:
        ConfigError: the dataset is not there or may not be written to, or a table lacks a column,
            or has it of another type.
    """
    client = connect(OUTPUT_OPTION, name)
    from google.cloud.bigquery import Table, TimePartitioning

    for table, columns, clustering in ((name, PREDICTIONS, CLUSTERING), (name.runs, RUNS, None)):
        wanted = Table(str(table), schema=describe(columns))
        wanted.time_partitioning = TimePartitioning(field=PARTITION)
        wanted.clustering_fields = clustering
        with refuse_faults(OUTPUT_OPTION, str(table)):
            found = client.create_table(wanted, exists_ok=True, **look_up())
        problem = _find_problem(found.schema, columns)
        if problem is not None:
            how = _spell_addition(str(table), found.schema, columns)
            problem = f"{problem}; give another table, or alter this one{how}"
            raise ConfigError(OUTPUT_OPTION, str(table), problem)


def _spell_addition(
    table: str, found: "Sequence[bigquery.SchemaField]", columns: Sequence[Column]
) -> str:
    """The statement that adds the columns that a table of an earlier version lacks."""
    known = {field.name for field in found}
    lacking = [column for column in columns if column.name not in known]
    if not all(column.mode == NULLABLE and column.kind in _SQL_NAMES for column in lacking):
        return ""
    added = ", ".join(f"ADD COLUMN {each.name} {_SQL_NAMES[each.kind]}" for each in lacking)
    return f": ALTER TABLE `{table}` {added}" if added else ""


def _find_problem(
    found: "Sequence[bigquery.SchemaField]", columns: Sequence[Column], outer: str = ""
) -> str | None:
    """Why rows of our columns do not fit into a table, or a struct, of the fields found."""
    others = {field.name: field for field in found}
    for column in columns:
        field, named = others.pop(column.name, None), f"{outer}{column.name}"
        if field is None:
            return f"it has no column {named} ({column.kind}, {column.mode})"
        kind = _OTHER_NAMES.get(field.field_type, field.field_type)
        if kind != column.kind or not _takes(field.mode, column.mode):
            return f"its column {named} is {kind} {field.mode}, not {column.kind} {column.mode}"
        if problem := _find_problem(field.fields, column.fields, f"{named}."):
            return problem
    required = (f"{outer}{name}" for name, field in others.items() if field.mode == REQUIRED)
    return next((f"its column {name} is required, and none of ours" for name in required), None)


def _takes(found: str, wanted: str) -> bool:
    """Whether a column of one mode takes all that fits into another; one that takes null does."""
    return found == wanted or (wanted == REQUIRED and found not in (REQUIRED, REPEATED))
