"""Outcomes as lines of JSON: the task's responses, one an image.

A line is `{"id": …, "image_uri": …, "response": […]}`, or has `error` in the place of `response`.
"""

import json
import re
from typing import Any

from imgcls_beam.elements import Failure, Outcome
from imgcls_beam.spec import to_response

_UNFIT = re.compile("[\ud800-\udfff\x85\u2028\u2029]")
"""What UTF-8 does not have, and what JSON allows but other readers take for the end of a line."""


def encode_line(outcome: Outcome) -> bytes:
    """One outcome as one line of JSON in UTF-8, with its line end.

    It has `id` where the request had one, of its own type. Scores are written with as many
    digits as give the same float64 again.
    """
    ref = outcome.ref
    line: dict[str, Any] = {} if ref.request_id is None else {"id": ref.request_id}
    line["image_uri"] = ref.uri
    if isinstance(outcome, Failure):
        error = {"stage": outcome.stage, "code": outcome.code, "message": outcome.message}
        line["error"] = error
    else:
        line["response"] = to_response(outcome.labels)
    text = json.dumps(line, ensure_ascii=False, allow_nan=False)
    return _UNFIT.sub(_fit, text).encode() + b"\n"


def _fit(match: re.Match[str]) -> str:
    code = ord(match.group())
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"
