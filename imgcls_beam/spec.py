"""The wire types of the task: Hugging Face Inference API, image classification.

Source: https://huggingface.co/docs/inference-providers/tasks/image-classification, and the JSON
schemas behind it (`huggingface.js`, `packages/tasks/src/tasks/image-classification/spec`). The
same meaning is in `schemas/request.json` and `schemas/response.json`.

Parsing is strict: a field that is unknown, of another type or out of range is refused with a
`SpecError` that names the field, the value and what is allowed.
"""

import binascii
import contextlib
import dataclasses
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

FunctionToApply = Literal["sigmoid", "softmax", "none"]
FUNCTIONS: tuple[FunctionToApply, ...] = ("sigmoid", "softmax", "none")

_SHOWN_CHARS = 40
# One loop up to the first comma: a pattern that knows media types took 18 s for 32 kB of letters.
_DATA_URI = re.compile(r"\s*data:[^,]*;base64,", re.ASCII | re.IGNORECASE)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_SPACE = b" \t\n\r\f\v"


class SpecError(ValueError):
    """A request or response that is not of the task's form.

    Attributes:
        field: where, in dotted form, e.g. `parameters.top_k`.
        allowed: what may be there.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        """Says field and value (each cut to 40 characters) and what is allowed."""
        self.field = _cut(field if field.isprintable() else ascii(field)[1:-1])
        self.allowed = allowed
        super().__init__(f"{self.field} is {_show(value)}; allowed: {allowed}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as its message: the value may be megabytes."""
        return SpecError.__new__, (SpecError, str(self)), vars(self)


class ResponseElement(TypedDict):
    """One element of the response array."""

    label: str
    score: float


@dataclasses.dataclass(frozen=True, slots=True)
class LabelScore:
    """One label and its score: a probability, or a logit where no function was applied."""

    label: str
    score: float


@dataclasses.dataclass(frozen=True, slots=True)
class Parameters:
    """What a request may ask for.

    Attributes:
        function_to_apply: sigmoid, softmax or none; None leaves it to the job, then to the model.
        top_k: at most so many labels, 1 or more; None leaves it to the job.
    """

    function_to_apply: FunctionToApply | None = None
    top_k: int | None = None

    def __post_init__(self) -> None:
        """Raises `SpecError` for a value that is not allowed."""
        if self.function_to_apply is not None:
            check_function_to_apply(self.function_to_apply)
        if self.top_k is not None:
            check_top_k(self.top_k)


NO_PARAMETERS = Parameters()


def check_top_k(value: object) -> None:
    """Checks a given top_k.

    Raises:
        SpecError: not an integer of 1 or more. Booleans, fractions and text are refused.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError("parameters.top_k", value, "an integer of 1 or more")


def check_function_to_apply(value: object) -> None:
    """Checks a given function_to_apply.

    Raises:
        SpecError: not one of sigmoid, softmax, none, in small letters.
    """
    if not isinstance(value, str) or value not in FUNCTIONS:
        raise SpecError("parameters.function_to_apply", value, "sigmoid, softmax, none")


def parse_parameters(value: object) -> Parameters:
    """Parses the `parameters` of a request; None and absent fields leave the choice to the job.

    Raises:
        SpecError: not an object, an unknown field, or a value that is not allowed.
    """
    if value is None:
        return NO_PARAMETERS
    return Parameters(**require_fields(value, "parameters", ("function_to_apply", "top_k")))


def decode_image_text(value: object) -> bytes:
    """Decodes `inputs`: base64, standard or URL-safe, padded or not, as it is or as a data URI.

    Raises:
        SpecError: not text, empty, or not base64.
    """
    data = b""
    if isinstance(value, str):
        head = _DATA_URI.match(value)
        with contextlib.suppress(ValueError):
            data = _decode_base64(value[head.end() :] if head else value)
    if not data:
        raise SpecError("inputs", value, "the image as a base64-encoded string")
    return data


def _decode_base64(text: str) -> bytes:
    """Decodes the standard's own spelling at once, and any other one tidied.

    Raises:
        ValueError: not base64.
    """
    with contextlib.suppress(ValueError):
        return binascii.a2b_base64(text, strict_mode=True)
    letters = text.encode("ascii").translate(_URL_SAFE, delete=_SPACE).rstrip(b"=")
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4), strict_mode=True)


def to_response(labels: Sequence[LabelScore]) -> list[ResponseElement]:
    """The task's response, in the order given (best first)."""
    return [{"label": label.label, "score": label.score} for label in labels]


def require_fields(value: object, field: str, known: Sequence[str]) -> dict[str, Any]:
    """The fields of an object that has no others; `SpecError` where it has."""
    if not isinstance(value, Mapping):
        raise SpecError(field, value, f"an object with {', '.join(known)}")
    for name in value:
        if name not in known:
            raise SpecError(f"{field}.{name}", value[name], f"the fields {', '.join(known)}")
    return dict(value)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _show(value: object) -> str:
    shortened = reprlib.Repr()  # neither megabytes of text nor a thousand brackets are walked
    shortened.maxstring = shortened.maxother = shortened.maxlong = 4 * _SHOWN_CHARS
    return _cut(shortened.repr(value))
