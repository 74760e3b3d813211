"""What travels with an image, `ImageRef.attributes`, as the JSON object of its row."""

import base64
import contextlib
import datetime
import decimal
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from imgcls_beam.masking import mask_secrets

MAX_ATTRIBUTES_BYTES = 1 << 20
"""Of the JSON text; larger ones belong into a table of their own, joined by the image's URI."""
MAX_NESTING = 100
"""Lists and objects within one another. Python's own limit is another in each version: 700 are too
deep for 3.11, and 40,000 are not for 3.12."""

_MAX_BITS = 14280
"""Of an integer that Python spells: log2 of 10 to the power of 4,300 is 14,284."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBERS = (int, float, type(None))
"""What is spelled in ASCII."""


def encode_attributes(attributes: Mapping[str, Any]) -> str:
    """Attributes as a JSON object, in their order.

    Text, numbers, booleans, null, lists and structs are JSON's own. Dates and times become ISO
    8601, durations seconds, decimals their digits as text, bytes base64. NaN and the infinities,
    which JSON does not have, become null, and so do integers of more than 4,300 digits. URLs in
    texts lose their passwords and signatures.

    Raises:
        RecursionError: nested more than `MAX_NESTING` times.
    """
    return _encode(attributes, lambda number: None)


def tell_attributes(attributes: Mapping[str, Any]) -> str:
    """As `encode_attributes`, but numbers that JSON does not have are told apart, and from null.

    Raises:
        RecursionError: nested more than `MAX_NESTING` times.
    """
    return _encode(attributes, _spell_apart)


def _encode(attributes: Mapping[str, Any], spell: Callable[[float], object]) -> str:
    """A JSON object; `spell` makes something else of numbers that JSON does not have."""
    try:
        text = _ENCODER.encode(attributes)
    except ValueError:
        _check_nesting(attributes)
        text = _ENCODER.encode(_to_encodable(attributes, spell))
    if text.count("[") + text.count("{") > MAX_NESTING:
        _check_nesting(attributes)
    return mask_secrets(text) if "://" in text else text


def _check_nesting(value: object, more: int = MAX_NESTING) -> None:
    if not isinstance(value, Mapping | list | tuple):
        return
    if not more:
        raise RecursionError("nested too deeply")
    for each in value.values() if isinstance(value, Mapping) else value:
        _check_nesting(each, more - 1)


def find_attributes_problem(attributes: Mapping[str, Any] | None) -> str | None:
    """Why attributes do not fit into a row; None where they do."""
    if attributes is None:
        return None
    try:
        text = encode_attributes(attributes)
    except RecursionError:
        return "its attributes are nested too deeply"
    except Exception:  # noqa: BLE001  a caller's own objects may raise anything
        return "its attributes are none that JSON can hold"
    if len(text.encode("utf-8", "replace")) > MAX_ATTRIBUTES_BYTES:
        return f"its attributes are larger than {MAX_ATTRIBUTES_BYTES} bytes of JSON"
    name = None if text.isascii() else find_surrogates(attributes)
    return None if name is None else f"its attribute {name!a} has text that is not UTF-8"


def find_surrogates(attributes: Mapping[str, Any]) -> str | None:
    """The name of an attribute with text that UTF-8 cannot carry; None where there is none.

    Such text is U+FFFD in a row, and two of them may look alike there.
    """
    for name, value in attributes.items():
        has_no_such = value.isascii() if isinstance(value, str) else isinstance(value, _NUMBERS)
        if name.isascii() and has_no_such:
            continue
        with contextlib.suppress(RecursionError):
            if _SURROGATE.search(encode_attributes({name: value})):
                return name
    return None


def spell_seconds(count: int, per_second: int) -> float | str:
    """A duration in seconds: a number where one has all its digits, else text, as decimals are.

    Args:
        count: of its unit.
        per_second: how many of the unit are a second; a power of ten.
    """
    seconds, exact = count / per_second, decimal.Decimal(count) / per_second
    return seconds if decimal.Decimal(repr(seconds)) == exact else f"{exact:f}"


def _to_json(value: object) -> object:
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return spell_seconds(value // datetime.timedelta(microseconds=1), 10**6)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def _spell_apart(number: float) -> object:
    return {"": hex(number) if isinstance(number, int) else number.hex()}


def _to_encodable(value: Any, spell: Callable[[float], object]) -> Any:  # noqa: ANN401  any JSON
    if isinstance(value, float) and not math.isfinite(value):
        return spell(value)
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return spell(value)
    if isinstance(value, Mapping):
        return {name: _to_encodable(each, spell) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_encodable(each, spell) for each in value]
    return value


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_to_json
)
