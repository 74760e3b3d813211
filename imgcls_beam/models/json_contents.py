"""What a JSON file of a model holds instead of JSON, in words that go after its name."""

import json
import re
from typing import Any

from imgcls_beam.json_bounds import JsonBoundsError, load_bounded

AGAIN = "fetch it again"

PACKED = {
    b"PK\x03\x04": "is a zip archive; unpack it",
    b"\x1f\x8b": "is packed with gzip; unpack it",
    b"BZh": "is packed with bzip2; unpack it",
    b"\xfd7zXZ\x00": "is packed with xz; unpack it",
    b"\x28\xb5\x2f\xfd": "is packed with zstd; unpack it",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; unpack it",
}
"""What to say of a file that is packed, by how it begins."""
_ENCODINGS = {
    **PACKED,
    b"\xef\xbb\xbf": "begins with a byte order mark; save it as UTF-8 without one",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
    b"{\x00": "is UTF-16; save it as UTF-8",
    b"\x00{": "is UTF-16; save it as UTF-8",
}
_MERGE_MARK = re.compile(r"^(<<<<<<<|=======|>>>>>>>)", re.MULTILINE)
_COMMENT = re.compile(r"[\s,]*(//|/\*|#)")
_CLOSING = re.compile(r"[\s,]*[\]}]")
_SHOWN_CHARS = 40
_SAID = {"error", "errors", "message", "detail"}
_SAID_BESIDE = {
    *("code", "status", "statusCode", "status_code", "type", "title", "path", "timestamp"),
    *("requestId", "request_id", "error_type", "error_description", "reason", "url", "success"),
}
"""What servers call the parts of an answer that says what went wrong; no setting is called so."""


def find_json_problem(data: bytes) -> str | None:
    """Why a text is not the JSON that a model's file holds; None where it is, of whatever kind.

    Args:
        data: the file, or so much of it that it is seen to be too large.
    """
    _, problem = _load(data)
    return problem


def find_object_problem(data: bytes) -> str | None:
    """The same of a file that holds an object."""
    value, problem = _load(data)
    if problem is None and not isinstance(value, dict):
        return f"is not a JSON object but {_show(value)}; {AGAIN}"
    return problem


def _load(data: bytes) -> tuple[Any, str | None]:
    """The value, or what there is instead; see `find_json_problem`."""
    for start, says in _ENCODINGS.items():
        if data.startswith(start):
            return None, says
    try:
        value = load_bounded(data)
    except JsonBoundsError as error:
        return None, f"{error}; no model's is"
    except UnicodeDecodeError:
        return None, "is not UTF-8; save it as UTF-8"
    except json.JSONDecodeError as error:
        return None, _describe_fault(error)
    except ValueError:  # a number of thousands of digits
        return None, f"is no JSON that can be read; {AGAIN}"
    return value, _describe_answer(value)


def _describe_fault(error: json.JSONDecodeError) -> str:
    text, place = error.doc, f"in line {error.lineno}"
    if mark := _MERGE_MARK.search(text):
        line = text.count("\n", 0, mark.start()) + 1
        return f"has the marks of a merge in line {line}; keep one side, and take the marks out"
    rest = text[error.pos :]
    if _COMMENT.match(rest):
        return f"has a comment {place}, and JSON has none; take it out"
    if not text[: error.pos].strip() and rest.strip()[:1] not in tuple("{["):
        return f"is not JSON but {_show(text.strip().splitlines()[0])}; {AGAIN}"
    is_behind_comma = "," in (rest[:1], text[: error.pos].rstrip()[-1:])
    if is_behind_comma and _CLOSING.match(rest):
        return f"has a comma before a closing bracket {place}; take it out"
    if not rest.strip() or error.msg.startswith("Unterminated string"):
        return f"is cut off {place}; {AGAIN}"
    return f"is not JSON {place}, column {error.colno}; mend it, or {AGAIN}"


def _describe_answer(value: Any) -> str | None:  # noqa: ANN401  any value of JSON
    """What to say of the answer of a server that was saved in place of the file."""
    names = value.keys() if isinstance(value, dict) else set()
    if not names & _SAID or names - _SAID - _SAID_BESIDE:
        return None
    token = "with HF_TOKEN where the model is not public"
    return f"is what a server said, {_show(value)}, not the file; {AGAIN}, {token}"


def _show(value: Any) -> str:  # noqa: ANN401  any value of JSON
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
