"""A column of a row group of a Parquet file → its cells, one after the other."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.reading.ranges import RangeFile

_BATCH_BYTES = 8 << 20
_MAX_BATCH_ROWS = 256
_HOW = {"pre_buffer": False, "buffer_size": 4 << 20, "page_checksum_verification": True}
"""A buffer; else Arrow reads the whole column chunk, which may be gigabytes."""

_DAMAGED = "the Parquet file is damaged here"
NO_CELL = "the Parquet file has no such cell of binary"

Cell = bytes | int | None
"""An image; or the size of one that is too large; or nothing."""


def iterate_cells(file: RangeFile, row_group: int, column: str, max_bytes: int) -> Iterator[Cell]:
    """The cells of a column, from the row group's first row.

    Args:
        file: a Parquet file.
        row_group: from 0.
        column: its name; of binary, or of a struct with a binary `bytes`.
        max_bytes: of a larger cell only the size is given.

    Raises:
        ImageError: the file cannot be read on.
    """
    held: pa.Array = ()
    try:
        for cells in _iterate_batches(file, row_group, column):
            ready, held = held, cells
            yield from (_to_cell(scalar, max_bytes) for scalar in ready)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield from (_to_cell(scalar, max_bytes) for scalar in held)
        raise ImageError(FailureCode.UNREADABLE, _DAMAGED) from error
    # By now Arrow has let go of the last page, which may be a whole row group.
    yield from (_to_cell(scalar, max_bytes) for scalar in held)


def _iterate_batches(file: RangeFile, row_group: int, column: str) -> Iterator[pa.Array]:
    with pq.ParquetFile(file, **_HOW) as table:
        leaf = _find_leaf(table, row_group, column)
        rows = _choose_batch_rows(table, row_group, leaf)
        for batch in table.iter_batches(rows, [row_group], columns=[leaf], use_threads=False):
            cells = batch.column(column)
            yield pc.struct_field(cells, "bytes") if pa.types.is_struct(cells.type) else cells


def _find_leaf(table: pq.ParquetFile, row_group: int, column: str) -> str:
    """The Parquet path of the images.

    Raises:
        ImageError: the file has no such row group or column.
    """
    schema = table.schema_arrow
    if row_group < table.num_row_groups and column in schema.names:
        found = schema.field(column).type
        is_struct = pa.types.is_struct(found) and found.get_field_index("bytes") >= 0
        leaf = found.field("bytes").type if is_struct else found
        if pa.types.is_binary(leaf) or pa.types.is_large_binary(leaf):
            return f"{column}.bytes" if is_struct else column
    raise ImageError(FailureCode.UNREADABLE, NO_CELL)


def _choose_batch_rows(table: pq.ParquetFile, row_group: int, leaf: str) -> int:
    """So many rows as make a batch of about 8 MiB, going by the mean."""
    group = table.metadata.row_group(row_group)
    columns = map(group.column, range(group.num_columns))
    size_bytes = sum(c.total_uncompressed_size for c in columns if c.path_in_schema == leaf)
    rows: int = _BATCH_BYTES * group.num_rows // max(size_bytes, 1)
    return min(max(rows, 1), _MAX_BATCH_ROWS)


def _to_cell(scalar: pa.Scalar, max_bytes: int) -> Cell:
    buffer = scalar.as_buffer()
    if buffer is None:
        return None
    size_bytes: int = buffer.size
    if size_bytes > max_bytes:
        return size_bytes
    data: bytes = buffer.to_pybytes()
    return data
