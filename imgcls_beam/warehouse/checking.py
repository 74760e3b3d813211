"""Published files beside the table: every row of them fits, or nothing is loaded.

A load job takes a whole batch of files or nothing of it, and says so late. So the files are asked
before: their footers tell types, names and counts. A column that the footer says is required cannot
hold a null: Parquet writes no definition levels for it.
"""

import pyarrow as pa
import pyarrow.parquet as pq

from imgcls_beam.errors import PublishError
from imgcls_beam.rows import SCHEMA
from imgcls_beam.sinks import RunRecord
from imgcls_beam.sinks import file_operations as store
from imgcls_beam.sinks.record import DONE, RecordedFile
from imgcls_beam.sinks.run_paths import join


def check_files(output: str, record: RunRecord) -> None:
    """Checks each file of a run record against the columns of the table, and against the record.

    Raises:
        PublishError: one does not fit; the message names file and column.
    """
    if record.state != DONE:
        raise PublishError(f"run {record.run_id} was not loaded: it is {record.state}")
    for file in record.files:
        problem = _find_problem(join(output, file.path), file)
        if problem is not None:
            raise PublishError(f"run {record.run_id} was not loaded: {file.path}: {problem}")
    rows = sum(file.rows for file in record.files)
    if rows != sum(record.summary["counts"].values()):
        raise PublishError(f"run {record.run_id} was not loaded: its files hold {rows} rows")


def _find_problem(url: str, file: RecordedFile) -> str | None:
    size = store.find_size(url)
    if size != file.size_bytes:
        return "it is gone" if size is None else f"{size} bytes of {file.size_bytes}"
    try:
        with store.open_existing(url) as source:
            footer = pq.read_metadata(source)
    except pa.ArrowInvalid:
        return "it is no Parquet file"
    if footer.num_rows != file.rows:
        return f"{footer.num_rows} rows of {file.rows}"
    return _find_other_column(footer.schema.to_arrow_schema())


def _find_other_column(found: pa.Schema) -> str | None:
    for column in SCHEMA:
        if column.name not in found.names:
            return f"it has no column {column.name}"
        field = found.field(column.name)
        if not field.equals(column):
            return f"its column {column.name} is {_describe(field)}, not {_describe(column)}"
    # The load goes by names; an emulator's by order.
    return None if found.names == SCHEMA.names else f"its columns are {', '.join(found.names)}"


def _describe(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"
