"""A column of a row group of a Parquet file → its cells, one after the other."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.reading.ranges import RangeFile
from imgcls_beam.stores.parquet_batches import find_image_path, open_parquet, read_batches

_BUFFER_BYTES = 4 << 20
_MAX_BATCH_ROWS = 256

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
    """Arrays of binary.

    Raises:
        ImageError: the file has no such row group or column of images.
    """
    with open_parquet(file, _BUFFER_BYTES) as table:
        schema, path = table.schema_arrow, None
        if row_group < table.num_row_groups and column in schema.names:
            path = find_image_path(column, schema.field(column).type)
        if path is None:
            raise ImageError(FailureCode.UNREADABLE, NO_CELL)
        for batch in read_batches(table, row_group, [path], _MAX_BATCH_ROWS):
            cells = batch.column(column)
            yield pc.struct_field(cells, "bytes") if pa.types.is_struct(cells.type) else cells


def _to_cell(scalar: pa.Scalar, max_bytes: int) -> Cell:
    buffer = scalar.as_buffer()
    if buffer is None:
        return None
    size_bytes: int = buffer.size
    if size_bytes > max_bytes:
        return size_bytes
    data: bytes = buffer.to_pybytes()
    return data
