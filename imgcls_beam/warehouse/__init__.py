"""The warehouse: published runs as tables of BigQuery, and views over them.

What is a step of a pipeline is loaded when it is used: runs are asked without Beam.
"""

from typing import TYPE_CHECKING, Any

from imgcls_beam.bigquery import TableName, parse_table
from imgcls_beam.warehouse.create_tables import ensure_tables
from imgcls_beam.warehouse.current_run import CurrentRun, find_run
from imgcls_beam.warehouse.table_history import read_images, read_scored, read_table_history
from imgcls_beam.warehouse.table_loading import LoadedRun, load_run

if TYPE_CHECKING:
    from imgcls_beam.warehouse.write_table import WriteTable

__all__ = [
    "CurrentRun",
    "LoadedRun",
    "TableName",
    "WriteTable",
    "ensure_tables",
    "find_run",
    "load_run",
    "parse_table",
    "read_images",
    "read_scored",
    "read_table_history",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  PEP 562
    if name != "WriteTable":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from imgcls_beam.warehouse.write_table import WriteTable

    return WriteTable
