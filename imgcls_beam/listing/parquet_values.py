"""Cells of a Parquet column → Python values that are carried: none is cut, and none becomes null.

Python's times have microseconds, and years from 1 to 9999. A time that it cannot hold is text here,
ISO 8601 with all digits; a cell that cannot be read is `Unreadable`, and says why.
"""

import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from imgcls_beam.attributes import spell_seconds
from imgcls_beam.listing.references import NO_TEXT

_NO_VALUE = "holds a value that cannot be read"
_NO_TIME = "holds a time that no day has"

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_NS = 86_400 * 10**9
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
"""After so many years the calendar begins again."""
_EPOCH = datetime.date(1970, 1, 1).toordinal()


class Unreadable(NamedTuple):
    """A cell without a value; `problem` goes on behind the column's name."""

    problem: str


class _CellError(ValueError):
    """The cell has no value; the message is the problem."""


def to_values(column: pa.Array) -> list[Any]:
    """The values of a column: None for null, `Unreadable` for what is there and cannot be had."""
    try:
        known = _to_known_times(column.type)
        if not _is_beyond(known):
            return list((column if known == column.type else column.cast(known)).to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):
        pass  # rare, so the cell that it is about is looked for once it happened
    return list(map(_read_cell, column))


def _read_cell(scalar: pa.Scalar) -> Any:  # noqa: ANN401  any value of Parquet
    try:
        return _to_value(scalar)
    except _CellError as error:
        return Unreadable(str(error))


def _to_value(scalar: pa.Scalar) -> Any:  # noqa: ANN401
    """The value of a cell, or of what is nested in it.

    Raises:
        _CellError: it has none.
    """
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if pa.types.is_temporal(kind):
        return _to_time(scalar)
    if pa.types.is_dictionary(kind):
        return _to_value(scalar.value)
    if pa.types.is_struct(kind):
        return _to_object(scalar)
    if pa.types.is_map(kind):
        return [tuple(map(_to_value, _list_fields(pair))) for pair in scalar.values]
    if pa.types.is_nested(kind) and not pa.types.is_union(kind):
        return list(map(_to_value, scalar.values))
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        raise _CellError(NO_TEXT) from error
    except (ValueError, OverflowError) as error:
        raise _CellError(_NO_VALUE) from error


def _to_object(scalar: pa.StructScalar) -> dict[str, Any]:
    names = [field.name for field in scalar.type]
    if len(set(names)) < len(names):
        raise _CellError("holds a struct with two fields of one name")
    return dict(zip(names, map(_to_value, _list_fields(scalar)), strict=True))


def _list_fields(scalar: pa.StructScalar) -> list[pa.Scalar]:
    return [scalar[index] for index in range(len(scalar.type))]


def _to_time(scalar: pa.Scalar) -> Any:  # noqa: ANN401
    """A date, a time, a datetime, or a duration; text, or seconds, where Python has none."""
    kind, value = scalar.type, scalar.value
    if pa.types.is_date(kind):
        return _to_date(value if pa.types.is_date32(kind) else value // 86_400_000)
    if not hasattr(kind, "unit"):  # months, days and nanoseconds are no time
        return scalar.as_py()
    if pa.types.is_duration(kind):
        return spell_seconds(value, _PER_SECOND[kind.unit])
    value_ns = value * (10**9 // _PER_SECOND[kind.unit])
    if pa.types.is_timestamp(kind):
        return _to_timestamp(value_ns, bool(kind.tz))
    if not 0 <= value_ns < _DAY_NS:
        raise _CellError(_NO_TIME)
    return _to_clock(value_ns)


def _to_timestamp(value_ns: int, is_utc: bool) -> datetime.datetime | str:
    """A time since 1970, in UTC where it is in a time zone."""
    days, clock_ns = divmod(value_ns, _DAY_NS)
    date, clock = _to_date(days), _to_clock(clock_ns)
    if isinstance(date, datetime.date) and isinstance(clock, datetime.time):
        return datetime.datetime.combine(date, clock, datetime.UTC if is_utc else None)
    return f"{date}T{clock}{'+00:00' if is_utc else ''}"


def _to_date(days: int) -> datetime.date | str:
    """A day since 1970, by today's calendar before and after; years of five digits have a sign."""
    cycles, day = divmod(days + _EPOCH - 1, _CYCLE_DAYS)
    date = datetime.date.fromordinal(day + 1)
    year = date.year + cycles * _CYCLE_YEARS
    if datetime.MINYEAR <= year <= datetime.MAXYEAR:
        return date.replace(year=year)
    sign = "-" if year < 0 else "+" if year > datetime.MAXYEAR else ""
    return f"{sign}{abs(year):04}-{date:%m-%d}"


def _to_clock(value_ns: int) -> datetime.time | str:
    """A time of day; text where it has nanoseconds."""
    seconds, rest_ns = divmod(value_ns, 10**9)
    clock = datetime.time(seconds // 3600, seconds // 60 % 60, seconds % 60, rest_ns // 1000)
    return f"{clock:%H:%M:%S}.{rest_ns:09}" if rest_ns % 1000 else clock


def _is_beyond(found: pa.DataType) -> bool:
    """Whether values may be cut without a word: times of day, durations, and nanoseconds.

    Nanoseconds stay where pandas is installed, which no row may depend on.
    """
    if pa.types.is_dictionary(found):
        return _is_beyond(found.value_type)
    if pa.types.is_time(found) or pa.types.is_duration(found):
        return True
    inner = (found.field(index).type for index in range(found.num_fields))
    return getattr(found, "unit", None) == "ns" or any(map(_is_beyond, inner))


def _to_known_times(found: pa.DataType) -> pa.DataType:
    """The type with timestamps that Python has: microseconds, and UTC for any time zone."""
    if pa.types.is_timestamp(found) and (found.unit == "ns" or found.tz):
        return pa.timestamp("us", found.tz and "UTC")
    if pa.types.is_struct(found):
        return pa.struct([field.with_type(_to_known_times(field.type)) for field in found])
    if pa.types.is_list(found):
        return pa.list_(found.value_field.with_type(_to_known_times(found.value_type)))
    return found
