"""The two tables: made where they are absent, checked where they stand."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from imgcls_beam.bigquery import TableName, connect, look_up, refuse_faults
from imgcls_beam.errors import ConfigError
from imgcls_beam.warehouse.columns import (
    CLUSTERING,
    PARTITION,
    PREDICTIONS,
    REPEATED,
    REQUIRED,
    RUNS,
    Column,
)

if TYPE_CHECKING:
    from google.cloud import bigquery

_OPTION = "output_table"
_OTHER_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "STRUCT": "RECORD"}


def ensure_tables(name: TableName) -> None:
    """Makes `predictions` and `prediction_runs` where they are absent.

    Both are partitioned by run_date; predictions are clustered too. Columns that a table has beside
    ours stay, and are null in our rows.

    Raises:
        ConfigError: the dataset is not there or may not be written to, or a table lacks a column,
            or has it of another type.
    """
    client = connect(_OPTION, name)
    for table, columns, clustering in ((name, PREDICTIONS, CLUSTERING), (name.runs, RUNS, ())):
        with refuse_faults(_OPTION, str(table)):
            made = client.create_table(
                _describe_table(table, columns, clustering), exists_ok=True, **look_up()
            )
            standing = client.get_table(made.reference, **look_up())
        _check_columns(table, standing.schema, columns)


def to_fields(columns: Sequence[Column]) -> "list[bigquery.SchemaField]":
    """The columns as the client takes them."""
    from google.cloud.bigquery import SchemaField

    return [SchemaField.from_api_repr(column.to_json()) for column in columns]


def _describe_table(
    name: TableName, columns: Sequence[Column], clustering: Sequence[str]
) -> "bigquery.Table":
    from google.cloud.bigquery import Table, TimePartitioning

    table = Table(str(name), schema=to_fields(columns))
    table.time_partitioning = TimePartitioning(field=PARTITION)
    if clustering:
        table.clustering_fields = list(clustering)
    return table


def _check_columns(
    table: TableName, standing: "Sequence[bigquery.SchemaField]", columns: Sequence[Column]
) -> None:
    known = {field.name: field for field in standing}
    problem = _find_problem(known, columns, "")
    if problem is None:
        ours = {column.name for column in columns}
        others = (field for name, field in known.items() if name not in ours)
        problem = next((_refuse_other(field) for field in others if field.mode == REQUIRED), None)
    if problem is not None:
        raise ConfigError(_OPTION, str(table), f"{problem}; give another table, or alter this one")


def _find_problem(
    known: "Mapping[str, bigquery.SchemaField]", columns: Sequence[Column], outer: str
) -> str | None:
    for column in columns:
        field, named = known.get(column.name), f"{outer}{column.name}"
        if field is None:
            return f"it has no column {named} ({column.kind}, {column.mode})"
        found = _OTHER_NAMES.get(field.field_type, field.field_type)
        if found != column.kind or not _takes(field.mode, column.mode):
            return f"its column {named} is {found} {field.mode}, not {column.kind} {column.mode}"
        inner = {each.name: each for each in field.fields}
        if problem := _find_problem(inner, column.fields, f"{named}."):
            return problem
    return None


def _takes(standing: str, wanted: str) -> bool:
    """Whether a column of one mode takes all that fits into another; one that takes null does."""
    return standing == wanted or (wanted == REQUIRED and standing not in (REQUIRED, REPEATED))


def _refuse_other(field: "bigquery.SchemaField") -> str:
    return f"its column {field.name} is required, and none of ours"
