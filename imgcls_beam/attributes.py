"""What travels with an image, `ImageRef.attributes`, as the JSON object of its row."""

import base64
import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

from imgcls_beam.masking import mask_secrets

MAX_ATTRIBUTES_BYTES = 1 << 20
"""Of the JSON text; larger ones belong into a table of their own, joined by the image's URI."""
MAX_NESTING = 100
"""Lists and objects within one another. Python's own limit is another in each version: 700 are too
deep for 3.11, and 40,000 are not for 3.12."""

_MAX_BITS = 14280
"""Of an integer that Python spells: log2 of 10 to the power of 4,300 is 14,284."""


def encode_attributes(attributes: Mapping[str, Any]) -> str:
    """Attributes as a JSON object, in their order.

    Text, numbers, booleans, null, lists and structs are JSON's own. Dates and times become ISO
    8601, durations seconds, decimals their digits as text, bytes base64. NaN and the infinities,
    which JSON does not have, become null, and so do integers of more than 4,300 digits. URLs in
    texts lose their passwords and signatures.

    Raises:
        RecursionError: nested more than `MAX_NESTING` times.
    """
    try:
        text = _ENCODER.encode(attributes)
    except ValueError:
        _check_nesting(attributes)
        text = _ENCODER.encode(_to_encodable(attributes))
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
    if len(text.encode("utf-8", "replace")) <= MAX_ATTRIBUTES_BYTES:
        return None
    return f"its attributes are larger than {MAX_ATTRIBUTES_BYTES} bytes of JSON"


def _to_json(value: object) -> object:
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def _to_encodable(value: Any) -> Any:  # noqa: ANN401  any value of JSON
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return None
    if isinstance(value, Mapping):
        return {name: _to_encodable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_encodable(each) for each in value]
    return value


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_to_json
)
