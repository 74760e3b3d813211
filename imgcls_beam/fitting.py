"""What a column can hold of a fact: the fact itself, or nothing.

A file may declare a width of 4,294,967,169, a store a time after the year 9999, a caller an id of
five thousand digits. A fact that does not fit is left out; it never costs the row, let alone a run.
"""

import datetime
import decimal
import math

INT32_MAX = (1 << 31) - 1
INT64_MAX = (1 << 63) - 1


def fit_integer(value: int | None, largest: int = INT64_MAX) -> int | None:
    """An integer from `-largest - 1` to `largest`; None for any other."""
    return value if value is not None and -largest - 1 <= value <= largest else None


def fit_number(value: float | None) -> float | None:
    """A finite number; None for NaN, the infinities, and integers beyond them."""
    try:
        return value if value is not None and math.isfinite(value) else None
    except OverflowError:
        return None


def fit_time(value: datetime.datetime | None) -> datetime.datetime | None:
    """A time in UTC, of the years 1 to 9999 there, which is what warehouses have; else None."""
    if value is None or value.tzinfo is None:
        return value
    try:
        return value.astimezone(datetime.UTC)
    except (OverflowError, ValueError):
        return None


def spell_id(value: str | int) -> str:
    """An id as text. Python spells no integer of more than 4,300 digits; `decimal` does."""
    try:
        return str(value)
    except ValueError:
        return f"{decimal.Decimal(value):f}"
