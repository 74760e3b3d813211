"""The published files against the columns of the table: every row of them fits, or none is loaded.

A load job takes all files or none, and says only at its end that one does not fit. So their footers
are read before: they tell types, names and counts. A column that the footer says is required cannot
hold a null: Parquet writes no definition levels for it.
"""

import os

import pyarrow as pa
import pyarrow.parquet as pq

from imgcls_beam.errors import PublishError
from imgcls_beam.rows import SCHEMA
from imgcls_beam.sinks import RecordedFile, RunRecord
from imgcls_beam.sinks.record import DONE
from imgcls_beam.stores.folder import Folder


def check_files(folder: Folder, record: RunRecord) -> None:
    """Checks each file of a run record against the columns of the table, and against the record.

    Raises:
        PublishError: one does not fit; the message names file and column.
    """
    if record.state != DONE:
        raise PublishError(f"run {record.run_id} was not loaded: it is {record.state}")
    for file in record.files:
        problem = _find_problem(folder, file)
        if problem is not None:
            raise PublishError(f"run {record.run_id} was not loaded: {file.path}: {problem}")


def _find_problem(folder: Folder, file: RecordedFile) -> str | None:
    try:
        with folder.open_existing(file.path) as source:
            found_bytes = source.seek(0, os.SEEK_END)
            footer = pq.read_metadata(source)
    except FileNotFoundError:
        return "it is gone"
    except pa.ArrowInvalid:
        return "it is no Parquet file"
    if (footer.num_rows, found_bytes) != (file.rows, file.size_bytes):
        return f"{footer.num_rows} rows of {file.rows}, {found_bytes} bytes of {file.size_bytes}"
    return _find_other_column(footer.schema.to_arrow_schema())


def _find_other_column(found: pa.Schema) -> str | None:
    for column in SCHEMA:
        if column.name not in found.names:
            return f"it has no column {column.name}"
        field = found.field(column.name)
        if not field.equals(column):
            return f"its column {column.name} is {_describe(field)}, not {_describe(column)}"
    # The service loads columns by their names, the emulator of the tests by their order.
    return None if found.names == SCHEMA.names else f"its columns are {', '.join(found.names)}"


def _describe(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"
