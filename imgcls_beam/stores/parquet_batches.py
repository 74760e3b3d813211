"""Parquet files read with bounded memory: batches of one row group, of a few columns."""

import io
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

_BATCH_BYTES = 8 << 20


def open_parquet(source: IO[bytes] | io.RawIOBase, buffer_bytes: int) -> pq.ParquetFile:
    """A Parquet file, to be closed; each column is read through a buffer of this size.

    Without the buffer Arrow reads whole column chunks, which may be gigabytes.
    """
    return pq.ParquetFile(
        source, pre_buffer=False, buffer_size=buffer_bytes, page_checksum_verification=True
    )


def read_batches(
    table: pq.ParquetFile, row_group: int, columns: Sequence[str], max_rows: int
) -> Iterator[pa.RecordBatch]:
    """Reads batches of about 8 MiB, by the mean size of a row, and of `max_rows` at the most.

    Columns are Parquet paths: of a struct all of it, or `a.b` for one of its fields.
    """
    group = table.metadata.row_group(row_group)
    chunks = map(group.column, range(group.num_columns))
    asked = tuple(f"{name}." for name in columns)
    used = [chunk for chunk in chunks if f"{chunk.path_in_schema}.".startswith(asked)]
    size_bytes = sum(chunk.total_uncompressed_size for chunk in used)
    rows = min(max(_BATCH_BYTES * group.num_rows // max(size_bytes, 1), 1), max_rows)
    yield from table.iter_batches(rows, [row_group], columns=list(columns), use_threads=False)


def find_image_path(column: str, found: pa.DataType) -> str | None:
    """The Parquet path of the images in a column of this type; None where it cannot hold any.

    A column of images is binary, or a struct with a binary `bytes`, as Hugging Face datasets have.
    """
    is_struct = pa.types.is_struct(found) and found.get_field_index("bytes") >= 0
    if not is_binary(found.field("bytes").type if is_struct else found):
        return None
    return f"{column}.bytes" if is_struct else column


def is_binary(found: pa.DataType) -> bool:
    """Whether it is binary, in any of Arrow's layouts."""
    found = find_plain_type(found)
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(is_kind(found) for is_kind in kinds)


def is_text(found: pa.DataType) -> bool:
    """Whether it is text, in any of Arrow's layouts."""
    found = find_plain_type(found)
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(found) for is_kind in kinds)


def find_plain_type(found: pa.DataType) -> pa.DataType:
    """The type of the values: of a dictionary those in it, of an extension what it is stored as."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    return found.storage_type if isinstance(found, pa.BaseExtensionType) else found
