"""The warehouse: published runs as tables of BigQuery, and views over them."""

from imgcls_beam.bigquery import TableName, parse_table
from imgcls_beam.warehouse.create_tables import ensure_tables
from imgcls_beam.warehouse.load_session import LoadedRun, load_run
from imgcls_beam.warehouse.table_history import (
    find_run,
    read_errors,
    read_present,
    read_scored,
    read_table_marks,
)
from imgcls_beam.warehouse.write_table import WriteTable

__all__ = [
    "LoadedRun",
    "TableName",
    "WriteTable",
    "ensure_tables",
    "find_run",
    "load_run",
    "parse_table",
    "read_errors",
    "read_present",
    "read_scored",
    "read_table_marks",
]
