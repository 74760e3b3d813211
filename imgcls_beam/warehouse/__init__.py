"""The warehouse: published runs as tables of BigQuery, and views over them."""

from imgcls_beam.bigquery import TableName, parse_table
from imgcls_beam.warehouse.create_tables import ensure_tables
from imgcls_beam.warehouse.current_run import CurrentRun, find_run
from imgcls_beam.warehouse.table_history import read_images, read_scored, read_table_history
from imgcls_beam.warehouse.table_loading import LoadedRun, load_run
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
