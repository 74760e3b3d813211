"""Published runs as relations of a DuckDB in memory: what `imgcls sql` asks.

::

    OUT/runs/*.json ─▶ records ─┬─▶ prediction_runs
                                └─▶ their files ─▶ predictions ─▶ the views

DuckDB itself opens no file. Rows reach it through an Arrow dataset of exactly the files that the
records name, on any file system that fsspec knows, and access to everything outside is switched off
and locked: a query reads these relations and nothing else, and writes nowhere. To look at the kind
of statement would not do: DuckDB 2 takes a COPY inside a WITH of a SELECT.
"""

import io
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.json as pj
from pyarrow import fs

from imgcls_beam.errors import ConfigError
from imgcls_beam.rows import SCHEMA
from imgcls_beam.sinks import RunRecord
from imgcls_beam.sinks.record import read_records
from imgcls_beam.stores import is_local, refuse_store_faults
from imgcls_beam.stores.folder import Folder
from imgcls_beam.stores.opening import open_folder
from imgcls_beam.warehouse.columns import PREDICTIONS, RUNS, encode_run_row
from imgcls_beam.warehouse.evaluation_views import render_evaluation_duckdb
from imgcls_beam.warehouse.views import DUCKDB, PREDICTIONS_NAME, RUNS_NAME, quote, render_views

if TYPE_CHECKING:
    import duckdb

ROWS_SCHEMA = pa.schema([*SCHEMA, *(key.to_arrow() for key in PREDICTIONS[len(SCHEMA) :])])
"""What a file holds, and the keys of its path that the tables have."""

_LOCKED = (
    "SET TimeZone = 'UTC'",
    "SET python_enable_replacements = false",  # or a name that is no table is a variable of ours
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


def open_runs(output: str, truth_column: str | None = None) -> "duckdb.DuckDBPyConnection":
    """Opens the published runs of an output folder.

    Args:
        output: path or URL of the folder.
        truth_column: a carried column; where it is given, the views of evaluation are there too.

    Returns:
        A connection that has `predictions`, `prediction_runs` and all views, and nothing else.

    Raises:
        ConfigError: no run has been published there, DuckDB is not installed, or no view can have
            such a column.
    """
    try:
        import duckdb
    except ImportError as error:
        problem = "this takes DuckDB; pip install duckdb"
        raise ConfigError("sql", output, problem) from error
    with refuse_store_faults("output", output):
        folder = open_folder("output", output)
        records = list(read_records(folder))
    if not records:
        raise ConfigError("output", output, "there is no finished run, so there is nothing to ask")
    connection = duckdb.connect(":memory:")
    connection.register(RUNS_NAME, make_runs_table(records))
    connection.register(PREDICTIONS_NAME, make_dataset(folder, records))
    connection.execute(render_views(DUCKDB))
    if truth_column is not None:
        connection.execute(render_evaluation_duckdb(truth_column))
    scratch = tempfile.mkdtemp(prefix="imgcls-sql-")  # ours alone, and removed with the connection
    weakref.finalize(connection, shutil.rmtree, scratch, ignore_errors=True)
    connection.execute(f"SET temp_directory = {quote(scratch)}")  # where memory does not suffice
    for statement in _LOCKED:
        connection.execute(statement)
    return connection


def make_runs_table(records: Sequence[RunRecord]) -> pa.Table:
    """`prediction_runs`: one row per record."""
    schema = pa.schema([column.to_arrow() for column in RUNS])
    # Arrow reads a date from JSON only as a time.
    times = {pa.date32(): pa.timestamp("s")}
    read = pa.schema([field.with_type(times.get(field.type, field.type)) for field in schema])
    lines = [encode_run_row(record) + b"\n" for record in records]
    return pj.read_json(
        io.BytesIO(b"".join(lines)),
        pj.ReadOptions(block_size=max(1 << 20, *map(len, lines))),  # a longer line is refused
        pj.ParseOptions(explicit_schema=read),
    ).cast(schema)


def make_dataset(folder: Folder, records: Sequence[RunRecord]) -> ds.Dataset:
    """`predictions`: the rows of the files that these records name, none of which is opened yet."""
    handler = fs.FSSpecHandler(folder.store)
    system = fs.LocalFileSystem() if is_local(folder.store) else fs.PyFileSystem(handler)
    kind = ds.ParquetFileFormat()
    pieces = [
        kind.make_fragment(
            folder.path_of(file.path),
            system,
            (ds.field("run_id") == record.run_id) & (ds.field("run_date") == record.run_date),
            file_size=file.size_bytes,
        )
        for record in records
        for file in record.files
    ]
    return ds.FileSystemDataset(pieces, ROWS_SCHEMA, kind, system)
