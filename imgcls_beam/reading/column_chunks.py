"""A column of a row group of a Parquet file → its cells, one after the other.

The file is read by ranges, with the limits and retries of `read`.
"""

import dataclasses
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import changed_object, count_tries, to_image_error
from imgcls_beam.reading.pinning import look_up
from imgcls_beam.reading.ranges import Asking, Stretch, ask_ranges
from imgcls_beam.reading.store_groups import open_stores
from imgcls_beam.stores import updated_at_of, version_of
from imgcls_beam.stores.parquet_batches import find_image_path, open_parquet, read_batches

_BUFFER_BYTES = 4 << 20
_MAX_BATCH_ROWS = 256

DAMAGED = "the Parquet file is damaged here"
NO_CELL = "the Parquet file has no such cell of binary"
_ONLY_A_PATH = (
    "the cell has no bytes; where it has a path, read that: --uri_column={}.path in the place of "
    "--image_column"
)

Cell = bytes | int | ImageError
"""An image; or the size of one that is too large; or why there is none."""


class RangeFile(io.RawIOBase):
    """A file of which no more is read than is asked for; what goes wrong is an `ImageError`.

    Attributes:
        info: what the store knew of the object when it was opened.
        identity: its version, time and size then; another one is another content.
        tries: the most reads that one range has taken, from 1.
    """

    def __init__(self, uri: str, options: ReadOptions, sleep: Callable[[float], object]) -> None:
        """Looks the object up.

        Raises:
            ImageError: it is not there, may not be read, or its store cannot be opened.
        """
        self._asking = Asking.alone(options, sleep)
        self._uri, self._offset = uri, 0
        self.tries = 1
        ((_, store, paths),) = open_stores([ImageRef(uri)], options)
        if isinstance(store, ImageError):
            raise store
        self._store, self._path = store, paths[0]
        self.info: Mapping[str, Any] = self._persist(
            lambda _: look_up(self._store, [self._path])[0]
        )
        self._size_bytes = int(self.info["size"])
        self.identity = (version_of(self.info), updated_at_of(self.info), self._size_bytes)

    def read(self, size: int = -1) -> bytes:
        """Reads so many bytes, fewer only at the end.

        Raises:
            ImageError: the store does not deliver them.
        """
        start = self._offset
        end = self._size_bytes if size < 0 else min(start + size, self._size_bytes)
        if end <= start:
            return b""
        stretch = Stretch(self._uri, self._path, start, end)
        data: bytes = self._persist(lambda asking: ask_ranges(self._store, [stretch], asking)[0])
        if len(data) != end - start:
            raise changed_object()
        self._offset = end
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._size_bytes}[whence]
        self._offset = max(base + offset, 0)
        return self._offset

    def readable(self) -> bool:
        """Always; Arrow asks."""
        return True

    seekable = readable

    def _persist(self, ask: Callable[[Asking], Any]) -> Any:  # noqa: ANN401  what the store answers
        """Asks again while the fault looks passing.

        Raises:
            ImageError: the fault does not look passing, or did not pass.
        """
        for tries in count_tries(self._asking.options, self._asking.sleep, self._uri):
            self.tries = max(self.tries, tries)
            asking = dataclasses.replace(self._asking, tries=tries)
            with asking.bear_silence(self._uri):
                answer = ask(asking)
            if not isinstance(answer, BaseException):
                return answer
            error = to_image_error(answer)
            if error.code is not FailureCode.UNAVAILABLE:
                break
        raise error


def iterate_cells(file: RangeFile, row_group: int, column: str, max_bytes: int) -> Iterator[Cell]:
    """The cells of a column of images, from the first row of a row group, which count from 0.

    Of a cell above `max_bytes` only the size is given.

    Raises:
        ImageError: the file cannot be read on.
    """
    held: pa.Array = ()
    empty = ImageError(FailureCode.EMPTY, "the cell has no bytes")
    try:
        for cells, has_paths in _iterate_batches(file, row_group, column):
            ready, held = held, cells
            if has_paths:
                empty = ImageError(FailureCode.EMPTY, _ONLY_A_PATH.format(column))
            yield from (_to_cell(scalar, max_bytes, empty) for scalar in ready)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield from (_to_cell(scalar, max_bytes, empty) for scalar in held)
        raise ImageError(FailureCode.UNREADABLE, DAMAGED) from error
    # By now Arrow has let go of the last page, which may be a whole row group.
    yield from (_to_cell(scalar, max_bytes, empty) for scalar in held)


def _iterate_batches(
    file: RangeFile, row_group: int, column: str
) -> Iterator[tuple[pa.Array, bool]]:
    """Arrays of binary, and whether there is a field of paths beside them.

    Raises:
        ImageError: the file has no such row group or column of images.
    """
    with open_parquet(file, _BUFFER_BYTES) as table:
        schema, path = table.schema_arrow, None
        if row_group < table.num_row_groups and column in schema.names:
            path = find_image_path(column, schema.field(column).type)
        if path is None:
            raise ImageError(FailureCode.UNREADABLE, NO_CELL)
        kind = schema.field(column).type
        has_paths = pa.types.is_struct(kind) and kind.get_field_index("path") >= 0
        for batch in read_batches(table, row_group, [path], _MAX_BATCH_ROWS):
            cells = batch.column(column)
            cells = pc.struct_field(cells, "bytes") if pa.types.is_struct(cells.type) else cells
            is_encoded = pa.types.is_dictionary(cells.type)
            yield cells.dictionary_decode() if is_encoded else cells, has_paths


def _to_cell(scalar: pa.Scalar, max_bytes: int, empty: ImageError) -> Cell:
    buffer = scalar.as_buffer()
    if buffer is None or not buffer.size:
        return empty
    cell: Cell = buffer.size if buffer.size > max_bytes else buffer.to_pybytes()
    return cell
