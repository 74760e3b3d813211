"""What travels with an image, `ImageRef.attributes`, as the JSON object of its row."""

import base64
import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

MAX_ATTRIBUTES_BYTES = 1 << 20
"""Of the JSON text; larger ones belong into a table of their own, joined by the image's URI."""


def encode_attributes(attributes: Mapping[str, Any]) -> str:
    """Attributes as a JSON object, in their order.

    Text, numbers, booleans, null, lists and structs are JSON's own. Dates and times become ISO
    8601, durations seconds, decimals their digits as text, bytes base64. NaN and the infinities,
    which JSON does not have, become null.

    Raises:
        RecursionError: nested about a thousand times.
    """
    try:
        return _ENCODER.encode(attributes)
    except ValueError:
        return _ENCODER.encode(_drop_non_finite(attributes))


def find_attributes_problem(attributes: Mapping[str, Any] | None) -> str | None:
    """Why attributes do not fit into a row; None where they do."""
    if attributes is None:
        return None
    try:
        text = encode_attributes(attributes)
    except RecursionError:
        return "its attributes are nested too deeply"
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


def _drop_non_finite(value: Any) -> Any:  # noqa: ANN401  any value of JSON
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _drop_non_finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_drop_non_finite(each) for each in value]
    return value


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_to_json
)
