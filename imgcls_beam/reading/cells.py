"""Cells of Parquet files → encoded images.

A row group of a Parquet file is read from its beginning. So the process keeps a few cursors, each
in one column of one row group, and cells that are asked for in the order of the rows are read once.
Cells that a cursor passes on its way are kept for a while: two threads that read alternate batches
do not ask in order.
"""

import dataclasses
import threading
import time
from collections.abc import Iterator, Sequence

from imgcls_beam.elements import EncodedImage, Failure, ImageRef, TableCell
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.column_chunks import DAMAGED, NO_CELL, Cell, RangeFile, iterate_cells
from imgcls_beam.reading.faults import Sleep, changed_object, too_many_bytes
from imgcls_beam.stores import has_version

_CURSORS_KEPT = 4
_PASSED_BYTES = 16 << 20
_PASSED_CELLS = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class _Chunk:
    """One column of one row group of a listed file; `max_bytes`: a larger cell is not kept."""

    uri: str
    version: str | None
    row_group: int
    column: str
    max_bytes: int


def read_cells(
    refs: Sequence[ImageRef], options: ReadOptions, sleep: Sleep = time.sleep
) -> list[EncodedImage | Failure]:
    """Reads refs of `TableCell`s; one result each, in order. Fast in the order of rows only."""
    results: dict[int, EncodedImage | Failure] = {}
    chunks: dict[_Chunk, dict[int, list[int]]] = {}
    for index, ref in enumerate(refs):
        cell = ref.locator
        assert isinstance(cell, TableCell)
        at = _Chunk(ref.object_uri, ref.version, cell.row_group, cell.column, options.max_bytes)
        chunks.setdefault(at, {}).setdefault(cell.row, []).append(index)
    for chunk, rows in chunks.items():
        for row, answer, tries in _CURSORS.find(chunk).read(sorted(rows), options, sleep):
            for index in rows[row]:
                results[index] = _judge(refs[index], answer, tries, options)
    return [results[index] for index in range(len(refs))]


def _judge(ref: ImageRef, answer: Cell, tries: int, options: ReadOptions) -> EncodedImage | Failure:
    if isinstance(answer, bytes):
        return EncodedImage(ref, answer, tries)
    if isinstance(answer, int):
        answer = too_many_bytes(options.max_bytes)
    return Failure.from_error(ref, answer, tries=tries)


class _Cursor:
    """One column of one row group, and the row up to which cells were taken."""

    _cells: Iterator[Cell]
    _broken: ImageError | None

    def __init__(self, chunk: _Chunk) -> None:
        self._chunk = chunk
        self._lock = threading.Lock()
        self._passed: dict[int, Cell] = {}
        self._reset()

    def read(
        self, rows: Sequence[int], options: ReadOptions, sleep: Sleep
    ) -> list[tuple[int, Cell, int]]:
        """Reads cells: the number of each row, its cell or the reason it has none, and the tries.

        Rows are in ascending order.
        """
        waits: list[float] = []

        def wait(wait_s: float) -> None:
            waits.append(wait_s)
            sleep(wait_s)

        with self._lock:
            try:
                file = self._look_up(options, wait)
                return [(row, self._take(row), file.tries) for row in rows]
            except ImageError as error:
                self._reset()
                return [(row, error, 1 + len(waits)) for row in rows]
            except BaseException:  # a defect: the next read begins anew
                self._reset()
                raise

    def _look_up(self, options: ReadOptions, sleep: Sleep) -> RangeFile:
        """The file; opened anew if it has changed, or its store failed."""
        file = RangeFile(self._chunk.uri, options, sleep)
        if not has_version(file.info, self._chunk.version):
            raise changed_object()
        may_stay = self._broken is None or self._broken.message in (DAMAGED, NO_CELL)
        if self._file is None or not may_stay or self._file.identity != file.identity:
            self._reset(file)
            return file
        self._file.tries = file.tries
        return self._file

    def _take(self, row: int) -> Cell:
        if row in self._passed:
            return self._take_passed(row)
        if row < self._next_row:
            self._reset(self._file)
        if self._broken is not None:
            return self._broken
        try:
            for cell in self._cells:
                self._next_row += 1
                if self._next_row > row:
                    return cell
                self._keep(self._next_row - 1, cell)
        except ImageError as error:
            self._broken = error.with_traceback(None)  # which would hold this cursor: a cycle
            return error
        return ImageError(FailureCode.UNREADABLE, NO_CELL)

    def _take_passed(self, row: int) -> Cell:
        cell = self._passed.pop(row)
        self._passed_bytes -= len(cell) if isinstance(cell, bytes) else 0
        return cell

    def _keep(self, row: int, cell: Cell) -> None:
        self._passed[row] = cell
        self._passed_bytes += len(cell) if isinstance(cell, bytes) else 0
        while self._passed_bytes > _PASSED_BYTES or len(self._passed) > _PASSED_CELLS:
            self._take_passed(next(iter(self._passed)))

    def _reset(self, file: RangeFile | None = None) -> None:
        """Begins anew, with this file or none."""
        at = self._chunk
        self._file = file
        self._cells = iter(())
        if file is not None:
            self._cells = iterate_cells(file, at.row_group, at.column, at.max_bytes)
        self._next_row = 0
        self._broken = None
        self._passed.clear()
        self._passed_bytes = 0


class _Cursors:
    """The cursors of this process, those used last; any thread may ask for one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cursors: dict[_Chunk, _Cursor] = {}

    def find(self, chunk: _Chunk) -> _Cursor:
        """The chunk's cursor; a new one takes the place of the least recently used.

        That one is not closed here: another thread may be reading with it, and its file goes with
        the last of them.
        """
        with self._lock:
            cursor = self._cursors.pop(chunk, None) or _Cursor(chunk)
            self._cursors[chunk] = cursor
            while len(self._cursors) > _CURSORS_KEPT:
                self._cursors.pop(next(iter(self._cursors)))
        return cursor


_CURSORS = _Cursors()
