"""Parquet manifests: rows that name images, and cells that hold them.

Only the columns that are asked for are read, batch by batch. To list cells, nothing is read but the
file's footer and the columns to carry. A column to carry may stand in the file's path.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imgcls_beam.elements import Failure, ImageRef, TableCell
from imgcls_beam.errors import ConfigError, FailureCode, ImageError
from imgcls_beam.listing.folders import open_file
from imgcls_beam.listing.parquet_values import Unreadable, to_values
from imgcls_beam.listing.partitions import find_partitions
from imgcls_beam.listing.references import (
    Line,
    asked_columns,
    describe_column,
    refuse_column,
)
from imgcls_beam.options import ManifestOptions
from imgcls_beam.stores import FaultKind, kind_of
from imgcls_beam.stores.parquet_batches import (
    find_image_path,
    is_binary,
    is_text,
    open_parquet,
    read_batches,
)

_Carried = tuple[dict[str, Any] | None, str | None]
"""What is carried with a row, or why it cannot be."""

_BUFFER_BYTES = 1 << 20
_MAX_BATCH_ROWS = 4096


def read_table(file: ImageRef, options: ManifestOptions) -> Iterator[Line]:
    """Reads the rows that name images; they are numbered from 0.

    Raises:
        ConfigError: it is no Parquet file, or has no such column of text.
    """
    with _open_table(file) as table:
        schema, keys = table.schema_arrow, find_partitions(file.uri)
        asked_columns(options, schema.names)
        uri_column = str(options.uri_column)
        _check_is_text(uri_column, _type_of(schema, "uri_column", uri_column, file.uri))
        carried = _find_carried(schema, options.carry_columns, keys, file.uri)
        names = list(dict.fromkeys((uri_column, *carried)))
        number = 0
        for row_group in range(table.num_row_groups):
            for batch in read_batches(table, row_group, names, _MAX_BATCH_ROWS):
                uris = to_values(_pick_column(batch, uri_column))
                rows = _to_carried(batch, options.carry_columns, keys)
                for value, (fields, problem) in zip(uris, rows, strict=True):
                    if isinstance(value, Unreadable):
                        problem = describe_column(uri_column, value.problem)
                    yield Line(number, value, fields, problem)
                    number += 1


def list_cells(
    file: ImageRef, column: str, carry_columns: Sequence[str]
) -> Iterator[ImageRef | Failure]:
    """Lists the cells of a column that holds images, see `find_image_path`; empty ones too.

    Yields:
        One ref a row, or a failure where what is to be carried cannot be; its URI ends in `::` and
        the row's number in the file, from 0.

    Raises:
        ConfigError: it is no Parquet file, or has no such column of images.
    """
    if "::" in file.uri:
        problem = "the path of a file that holds images must not hold ::; rename it"
        raise ConfigError("input_manifest", file.uri, problem)
    with _open_table(file) as table:
        schema, keys = table.schema_arrow, find_partitions(file.uri)
        found = _type_of(schema, "image_column", column, file.uri)
        if find_image_path(column, found) is None:
            problem = f"it holds {found}; allowed: binary, or a struct with a binary field bytes"
            raise ConfigError("image_column", column, problem)
        carried = _find_carried(schema, carry_columns, keys, file.uri)
        for name in carried:
            if name in (column, f"{column}.bytes"):
                raise ConfigError("carry_columns", name, "it holds the images; carry other columns")
        cell = dataclasses.replace(file, size_bytes=None)
        number = 0
        for row_group in range(table.num_row_groups):
            batches = read_batches(table, row_group, carried, _MAX_BATCH_ROWS)
            rows = (row for batch in batches for row in _to_carried(batch, carry_columns, keys))
            for row, (fields, refused) in enumerate(rows):
                uri, locator = f"{file.uri}::{number}", TableCell(row_group, row, column)
                ref = dataclasses.replace(cell, uri=uri, attributes=fields, locator=locator)
                yield _refuse(ref, refused) if refused else ref
                number += 1


def _refuse(ref: ImageRef, problem: str) -> Failure:
    return Failure.from_error(ref, ImageError(FailureCode.INVALID_REFERENCE, problem))


@contextlib.contextmanager
def _open_table(file: ImageRef) -> Iterator[pq.ParquetFile]:
    with open_file("input_manifest", file.uri) as source:
        try:
            with open_parquet(source, _BUFFER_BYTES) as table:
                yield table
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and kind_of(error) is not FaultKind.OTHER:
                raise  # Arrow's own has no kind: this one is the store's
            problem = "it cannot be read as Parquet: it is something else, or damaged"
            raise ConfigError("input_manifest", file.uri, problem) from error


def _split_name(schema: pa.Schema, name: str) -> list[str]:
    """A column and the fields in it, by a name such as `a.b`, which may be a column itself."""
    return [name] if name in schema.names else name.split(".")


def _find_carried(
    schema: pa.Schema, names: Sequence[str], keys: Mapping[str, str | None], uri: str
) -> list[str]:
    """The columns to carry that stand in the file; the others stand in its path.

    Raises:
        ConfigError: there is no such column, or there are two.
    """
    carried = [
        name for name in names if name not in keys or _split_name(schema, name)[0] in schema.names
    ]
    for name in carried:
        _type_of(schema, "carry_columns", name, uri)
    return carried


def _type_of(schema: pa.Schema, option: str, name: str, uri: str) -> pa.DataType:
    """The type of a column, or of a field of a struct; `uri` of the file.

    Raises:
        ConfigError: there is no such column, or there are two.
    """
    outer, *inner = _split_name(schema, name)
    if schema.names.count(outer) != 1:
        raise refuse_column(option, name, schema.names, uri)
    found = schema.field(outer).type
    for each in inner:
        if not pa.types.is_struct(found) or found.get_field_index(each) < 0:
            raise refuse_column(option, name, schema.names, uri)
        found = found.field(each).type
    return found


def _check_is_text(name: str, found: pa.DataType) -> None:
    if is_binary(found):
        problem = "it holds binary; if these are the images, name it as image_column"
        raise ConfigError("uri_column", name, problem)
    if not is_text(found) and not pa.types.is_null(found):  # a part may have nothing there
        raise ConfigError("uri_column", name, f"it holds {found}, not text")


def _pick_column(batch: pa.RecordBatch, name: str) -> pa.Array:
    outer, *inner = _split_name(batch.schema, name)
    return pc.struct_field(batch.column(outer), inner) if inner else batch.column(outer)


def _to_carried(
    batch: pa.RecordBatch, names: Sequence[str], keys: Mapping[str, str | None]
) -> Iterator[_Carried]:
    """The columns to carry of each row; those that the batch lacks are keys of the file's path."""
    if not names:
        return iter([(None, None)] * batch.num_rows)
    columns = [
        to_values(_pick_column(batch, name))
        if _split_name(batch.schema, name)[0] in batch.schema.names
        else [keys[name]] * batch.num_rows
        for name in names
    ]
    return (_name_values(names, row) for row in zip(*columns, strict=True))


def _name_values(names: Sequence[str], row: Sequence[Any]) -> _Carried:
    for name, value in zip(names, row, strict=True):
        if isinstance(value, Unreadable):
            return None, describe_column(name, value.problem)
    return dict(zip(names, row, strict=True)), None
