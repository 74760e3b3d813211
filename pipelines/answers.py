"""The answer of a query as text: a table for people, CSV or JSON lines for programs.

Labels and URIs are other people's text. Control characters are shown as escapes in a table, and in
every form that goes to a terminal; CSV and JSON that go elsewhere hold the text as it is.
"""

import csv
import datetime
import decimal
import io
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from . import terminal

if TYPE_CHECKING:
    import duckdb

SHOWN_ROWS = 1000
"""A table has no more rows than this, because all of its rows are held to find its widths."""

_SHOWN_CHARS = 60
_FETCHED_ROWS = 1024


def write_answer(cursor: "duckdb.DuckDBPyConnection", form: str, target: TextIO) -> None:
    """Writes what a query answers; CSV and JSON as the rows come.

    Args:
        cursor: a connection that has just executed the query.
        form: `table`, `csv` or `json`.
        target: where to.
    """
    names = [str(column[0]) for column in cursor.description or ()]
    lines = {"table": _to_table, "csv": _to_csv, "json": _to_json}[form](names, _fetch(cursor))
    is_terminal = target.isatty()
    for line in lines:
        target.write(terminal.escape(line) if is_terminal else line)
        target.write("\n")


def write_object(cursor: "duckdb.DuckDBPyConnection", log: str | None, target: TextIO) -> None:
    """Writes what a query answers as one JSON object, row by row, so that any number fits.

    Args:
        cursor: a connection that has just executed the query.
        log: where what other libraries said is kept.
        target: where to.

    Raises:
        duckdb.Error: the query fails before its first row.
    """
    names = [str(column[0]) for column in cursor.description or ()]
    head = {"program": "sql", "log": log, "views": None, "columns": names}
    lines = _to_json(names, _fetch(cursor))
    first = list(itertools.islice(lines, 1))
    target.write(f'{_dump(head)[:-1]},"rows":[')
    for index, line in enumerate(itertools.chain(first, lines)):
        target.write(f"{',' * (index > 0)}\n{line}")
    target.write('],"error":null,"exit_code":0}\n')


def _fetch(cursor: "duckdb.DuckDBPyConnection") -> Iterator[Sequence[Any]]:
    while rows := cursor.fetchmany(_FETCHED_ROWS):
        yield from rows


def _to_csv(names: Sequence[str], rows: Iterator[Sequence[Any]]) -> Iterator[str]:
    yield _to_csv_line(names)
    for row in rows:
        yield _to_csv_line([_to_text(value) for value in row])


def _to_csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _to_json(names: Sequence[str], rows: Iterator[Sequence[Any]]) -> Iterator[str]:
    for row in rows:
        yield _dump({name: _to_plain(value) for name, value in zip(names, row, strict=True)})


def _to_table(names: Sequence[str], rows: Iterator[Sequence[Any]]) -> Iterator[str]:
    shown: list[list[str]] = []
    are_numbers = [True] * len(names)
    left = 0
    for row in rows:
        if len(shown) == SHOWN_ROWS:
            left += 1
            continue
        shown.append([_to_cell(value) for value in row])
        are_numbers = [so_far and _is_number(v) for so_far, v in zip(are_numbers, row, strict=True)]
    heads = [_to_cell(name) for name in names]
    widths = [max(map(len, column)) for column in zip(heads, *shown, strict=True)]
    yield _align(heads, widths, are_numbers)
    yield "  ".join("─" * width for width in widths)
    for cells in shown:
        yield _align(cells, widths, are_numbers)
    if left:
        yield f"… and {left:,} more rows; --format=csv writes all of them"


def _align(cells: Sequence[str], widths: Sequence[int], are_numbers: Sequence[bool]) -> str:
    aligned = (
        cell.rjust(width) if is_number else cell.ljust(width)
        for cell, width, is_number in zip(cells, widths, are_numbers, strict=True)
    )
    return "  ".join(aligned).rstrip()


def _to_cell(value: object) -> str:
    """A value for people: six digits, no line ends, and not too long."""
    if value is None:
        return "null"
    if isinstance(value, float) and (abs(value) < 1e6 or not math.isfinite(value)):
        return format(value, ".6g")
    text = terminal.escape(_to_text(value))
    if len(text) <= _SHOWN_CHARS:
        return text
    # The end of a URI says which image it is; of other text the beginning says more.
    return f"…{text[1 - _SHOWN_CHARS :]}" if "://" in text else f"{text[: _SHOWN_CHARS - 1]}…"


def _to_text(value: object) -> str:
    """Text as it is, null and what is no number as nothing, all else as JSON."""
    plain = "" if (found := _to_plain(value)) is None else found
    return plain if isinstance(plain, str) else _dump(plain)


def _to_plain(value: Any) -> Any:  # noqa: ANN401 - what DuckDB holds, as JSON holds it
    """A value in JSON's types; what JSON cannot hold becomes text, and no number becomes null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, dict):
        return {str(name): _to_plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(each) for each in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_number(value: object) -> bool:
    kinds = int | float | decimal.Decimal
    return value is None or (isinstance(value, kinds) and not isinstance(value, bool))
