"""Outcomes as lines of JSON: the task's responses, one an image.

A line is `{"id": …, "image_uri": …, "response": […]}`, or has `error` in the place of `response`.
"""

import json
import re
from typing import Any

from imgcls_beam.elements import Failure, Outcome
from imgcls_beam.errors import STAGE_OF, FailureCode
from imgcls_beam.fitting import fit_number, spell_id
from imgcls_beam.spec import to_response

_MAX_DIGITS = 4300
"""Of an integer in JSON: Python writes and reads no more."""
_NO_NUMBER = "a score is not finite"
_UNFIT = re.compile("[\ud800-\udfff\x85\u2028\u2029]")
"""What UTF-8 does not have, and what JSON allows but other readers take for the end of a line."""


def encode_line(outcome: Outcome) -> bytes:
    """One outcome as one line of JSON in UTF-8, with its line end.

    It has `id` where the request had one, of its own type. Scores are written with as many
    digits as give the same float64 again. A score that JSON does not have is an error, and an
    integer that Python does not spell is an id of text.
    """
    ref = outcome.ref
    line: dict[str, Any] = {} if ref.request_id is None else {"id": _to_id(ref.request_id)}
    line["image_uri"] = ref.uri
    if isinstance(outcome, Failure):
        line["error"] = _describe_error(outcome.stage, outcome.code, outcome.message)
    elif all(fit_number(label.score) is not None for label in outcome.labels):
        line["response"] = to_response(outcome.labels)
    else:
        code = FailureCode.NON_FINITE_SCORE
        line["error"] = _describe_error(STAGE_OF[code], code, _NO_NUMBER)
    text = json.dumps(line, ensure_ascii=False, allow_nan=False)
    return _UNFIT.sub(_fit, text).encode() + b"\n"


def _describe_error(stage: str, code: str, message: str) -> dict[str, str]:
    return {"stage": stage, "code": code, "message": message}


def _to_id(request_id: str | int) -> str | int:
    spelled = spell_id(request_id)
    return spelled if len(spelled) > _MAX_DIGITS else request_id


def _fit(match: re.Match[str]) -> str:
    code = ord(match.group())
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"
