"""A line of a request file → the image in it, with the request's own id and parameters.

A line is an object with `inputs`, `parameters` and `id`: a request of the task, and a name for its
answer. A field that is there twice, NaN, Infinity and text that is not UTF-8 are refused. `inputs`
is decoded, and never fetched or opened, whatever it looks like. No message holds any of it.
"""

import dataclasses
import json
import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.json_bounds import is_too_deep
from imgcls_beam.reading.faults import too_many_bytes
from imgcls_beam.spec import SpecError, decode_image_text, parse_parameters

MAX_ID_CHARS = 1024
_MORE_LINE_BYTES = 64 << 10
_MAX_COMMAS = MAX_ID_CHARS + 8
"""Of one line: those of an id, a data URI and the fields. 64 MB of commas are 2 GB of objects."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_FIELDS = ("inputs", "parameters", "id")
_ID = f"text of at most {MAX_ID_CHARS} characters, or an integer"
_NOT_JSON = "the line is not JSON in UTF-8"
_NOT_AN_OBJECT = f"the line is not an object of {', '.join(_FIELDS)}"
_TWICE = "the line has an object in which a field stands twice"
_NOT_AN_IMAGE = "inputs is not an image as base64 text; URLs and paths are never fetched or opened"


def limit_line_bytes(max_bytes: int) -> int:
    """The longest line to read for an image of at most so many bytes.

    Base64 makes 4 bytes of 3; 64 KiB more are for what else a line holds.
    """
    return -(-max_bytes // 3) * 4 + _MORE_LINE_BYTES


def open_request(encoded: EncodedImage, max_bytes: int | None = None) -> EncodedImage | Failure:
    """Takes the image out of a request.

    Args:
        encoded: the bytes of one line, without its end.
        max_bytes: a larger image is a failure; None for no limit.

    Returns:
        The encoded image; its ref has the image's size, and the request's id and parameters. Or a
        failure, whose ref has those of them that are valid.
    """
    ref = dataclasses.replace(encoded.ref, size_bytes=None)
    try:
        fields = _load_object(encoded.data)
        ref, problem = _take_own(ref, fields)
        if problem is not None:  # the value may be anything, and is left out
            message = f"{problem.field} is refused; allowed: {problem.allowed}"
            raise ImageError(FailureCode.INVALID_REQUEST, message)
        data = _take_image(fields)
        ref = dataclasses.replace(ref, size_bytes=len(data))
        if max_bytes is not None and len(data) > max_bytes:
            raise too_many_bytes(max_bytes)
    except ImageError as error:
        return Failure.from_error(ref, error, tries=encoded.tries)
    return EncodedImage(ref, data, encoded.tries)


def _load_object(line: bytes) -> dict[str, Any]:
    """The fields of a line.

    Raises:
        ImageError: it is no JSON object.
    """
    if line.count(b",") > _MAX_COMMAS:
        raise ImageError(FailureCode.INVALID_REQUEST, _NOT_AN_OBJECT)
    try:
        text = line.decode("utf-8")
        if is_too_deep(text):
            raise ValueError("nested too deeply")
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise ImageError(FailureCode.INVALID_REQUEST, _NOT_JSON) from error
    if not isinstance(value, dict):
        raise ImageError(FailureCode.INVALID_REQUEST, _NOT_AN_OBJECT)
    return value


def _take_own(ref: ImageRef, fields: dict[str, Any]) -> tuple[ImageRef, SpecError | None]:
    """The ref with the id and parameters that are valid, and the first problem."""
    problem = None
    for take in (_check_names, _take_id, _take_parameters):
        try:
            ref = take(ref, fields)
        except SpecError as error:
            problem = problem or error
    return ref, problem


def _check_names(ref: ImageRef, fields: dict[str, Any]) -> ImageRef:
    for name in fields:
        if name not in _FIELDS:
            raise SpecError(f"request.{name}", None, f"the fields {', '.join(_FIELDS)}")
    return ref


def _take_id(ref: ImageRef, fields: dict[str, Any]) -> ImageRef:
    given = fields.get("id")
    if given is None:
        return ref
    is_kind = isinstance(given, str | int) and not isinstance(given, bool)
    if not is_kind or len(str(given)) > MAX_ID_CHARS or _SURROGATE.search(str(given)):
        raise SpecError("id", given, _ID)
    return dataclasses.replace(ref, request_id=given)


def _take_parameters(ref: ImageRef, fields: dict[str, Any]) -> ImageRef:
    return dataclasses.replace(ref, parameters=parse_parameters(fields.get("parameters")))


def _take_image(fields: dict[str, Any]) -> bytes:
    try:
        return decode_image_text(fields.get("inputs"))
    except SpecError as error:
        raise ImageError(FailureCode.INVALID_REQUEST, _NOT_AN_IMAGE) from error


def _to_object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ImageError(FailureCode.INVALID_REQUEST, _TWICE)
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


_DECODER = json.JSONDecoder(
    object_pairs_hook=_to_object,
    parse_float=lambda _: math.nan,  # none is allowed, so its megabytes of digits are not read
    parse_constant=_refuse_constant,
)
