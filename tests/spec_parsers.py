"""What the task's specification lets through: whole requests and responses, strictly parsed.

Schemas, rows and lines are held against it. No job takes a request in this form: request files
have parsers of their own in `imgcls_beam.reading`, which take lines of bytes.
"""

import contextlib
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from imgcls_beam.spec import (
    NO_PARAMETERS,
    LabelScore,
    Parameters,
    SpecError,
    decode_image_text,
    parse_parameters,
    require_fields,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request: the encoded image and what is asked of it."""

    image: bytes
    parameters: Parameters = NO_PARAMETERS


def parse_request(payload: bytes | str | Mapping[str, Any]) -> Request:
    """Parses a request: raw image bytes, or JSON text or a mapping with `inputs`.

    Bytes are the image itself, as the task allows where there are no parameters. `inputs` is
    never fetched or opened, whatever it looks like.

    Raises:
        SpecError: not JSON, no `inputs`, an unknown field, text that is not base64, or a
            parameter that is not allowed.
    """
    if isinstance(payload, bytes):
        return Request(payload)
    try:
        content = json.loads(payload) if isinstance(payload, str) else payload
    except (ValueError, RecursionError) as error:  # the latter: 1,000 brackets
        raise SpecError("request", payload, "JSON") from error
    fields = require_fields(content, "request", ("inputs", "parameters"))
    if "inputs" not in fields:
        raise SpecError("inputs", None, "the image as a base64-encoded string; it is required")
    return Request(decode_image_text(fields["inputs"]), parse_parameters(fields.get("parameters")))


def parse_response(value: object) -> tuple[LabelScore, ...]:
    """Parses a response array.

    Raises:
        SpecError: not an array of objects with exactly a text `label` and a finite `score`.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise SpecError("response", value, "an array of objects")
    return tuple(_parse_element(element, f"response[{i}]") for i, element in enumerate(value))


def _parse_element(value: object, field: str) -> LabelScore:
    fields = require_fields(value, field, ("label", "score"))
    label, score = fields.get("label"), fields.get("score")
    if not isinstance(label, str):
        raise SpecError(f"{field}.label", label, "text")
    with contextlib.suppress(OverflowError):  # an integer beyond the largest double
        if isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score):
            return LabelScore(label, float(score))
    raise SpecError(f"{field}.score", score, "a finite number")
