"""`ClassifyRows`: Beam rows in, Beam rows out. Beam YAML calls it `ClassifyImages`.

::

    Row(uri, sku) ─▶ ClassifyImages ─▶ Row(uri, sku, status, predictions, top_label, …)

A row travels with its `ImageRef`, so that its fields need neither names nor types known here.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import apache_beam as beam
from apache_beam import typehints
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.typehints.schemas import named_fields_from_element_type

from imgcls_beam.elements import EncodedImage, Failure, ImageRef, Outcome
from imgcls_beam.errors import ConfigError, FailureCode, Stage
from imgcls_beam.model_options import (
    DEFAULT_MODEL,
    DEFAULT_TOP_K,
    MODEL_FIELDS,
    Device,
    Dtype,
    Engine,
    to_model_options,
)
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions, ReadOptions
from imgcls_beam.scoring import Preprocess, WeightsForm
from imgcls_beam.spec import FunctionToApply
from imgcls_beam.transforms import ClassifyImages

DEFAULT_URI_FIELD = "uri"
_ERROR_FIELDS = ("msg", "stack", "stage", "code")

_LABEL = RowTypeConstraint.from_fields([("label", str), ("score", float)])
_ERROR = RowTypeConstraint.from_fields(
    [("stage", str), ("code", str), ("message", str), ("attempts", int)]
)
RESULT_FIELDS: Mapping[str, Any] = {
    "status": str,
    "predictions": typehints.Sequence[_LABEL],
    "top_label": str | None,
    "top_score": float | None,
    "top_margin": float | None,
    "error": typehints.Optional[_ERROR],
    "model_key": str,
}
"""What is added to each row; names and meaning are those of the Parquet columns."""


@dataclasses.dataclass(frozen=True, slots=True)
class _RowRef(ImageRef):
    row: Any = None


@dataclasses.dataclass(eq=False)
class ClassifyRows(beam.PTransform):
    """Rows that name or hold an image → the same rows with `RESULT_FIELDS`, one each.

    The input needs a schema (`beam.Row`, a NamedTuple, or what a Beam YAML source gives); it may be
    unbounded and windowed. `status` is `ok` or `error`.

    Attributes are those of `ModelOptions`, with `top_k` also `all`, and:
        uri_field: the field with the image's URI, or its path; `uri` where neither field is named.
        image_field: the field with the encoded image itself, as bytes. It is left out of the
            output.
        max_image_bytes, max_image_pixels: a larger image is an error.
        allow_schemes: schemes that may be read beside the usual ones.
        error_handling: `{"output": NAME}` as in Beam YAML: then good rows are the output `good`,
            and each failed one is in the output NAME: its own fields, `msg`, `stack` (empty: it is
            no exception), `stage` and `code`, and all of it once more as `element`, as in Beam.
        preprocess: how images are prepared, see `DecodeOptions`.
    """

    model: str = DEFAULT_MODEL
    revision: str | None = None
    top_k: int | Literal["all"] | None = DEFAULT_TOP_K
    function_to_apply: FunctionToApply | None = None
    device: Device = "auto"
    dtype: Dtype = "auto"
    batch_size: int | None = None
    uri_field: str | None = None
    image_field: str | None = None
    max_image_bytes: int = ReadOptions().max_bytes
    max_image_pixels: int = DecodeOptions().max_pixels
    allow_schemes: Sequence[str] = ()
    error_handling: Mapping[str, Any] | None = None
    preprocess: Preprocess = "exact"
    engine: Engine = "auto"
    threads: int | None = None
    weights: WeightsForm = "auto"

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a value that is not allowed."""
        super().__init__()
        options = {name: getattr(self, name) for name in MODEL_FIELDS}
        options["top_k"] = None if self.top_k == "all" else self.top_k
        self._options = to_model_options(**options)
        self._read = ReadOptions(self.max_image_bytes, allow_schemes=tuple(self.allow_schemes))
        self._decode = DecodeOptions(self.max_image_pixels, preprocess=self.preprocess)
        self._error_output = _find_error_output(self.error_handling)
        if self.uri_field is None and self.image_field is None:
            self.uri_field = DEFAULT_URI_FIELD

    def expand(self, rows: beam.PCollection) -> beam.PCollection | dict[str, beam.PCollection]:
        """Classifies; one row out for one row in.

        Raises:
            ConfigError: the input has no schema, lacks a field that was named, or has one of the
                name of a result.
        """
        fields = self._check_fields(rows.element_type)
        source = resolve_model(self.model, self.revision, self.weights)
        classify = ClassifyImages(
            self._options, source=source, read=self._read, decode=self._decode
        )
        refs = rows | "Refs" >> beam.Map(_to_input, self.uri_field, self.image_field)
        classified = refs | "ClassifyImages" >> classify
        kept = [name for name in fields if name != self.image_field]
        row_type = RowTypeConstraint.from_fields(
            [*((name, fields[name]) for name in kept), *RESULT_FIELDS.items()]
        )
        to_row = beam.Map(_to_row, kept, source.key).with_output_types(row_type)
        if self._error_output is None:
            return classified.outcomes | "Rows" >> to_row
        # Beam's sinks write the element, a row within a row, without the names of its fields.
        named = [name for name in kept if name not in ("element", *_ERROR_FIELDS)]
        error_type = RowTypeConstraint.from_fields(
            [*((name, fields[name]) for name in named), ("element", rows.element_type)]
            + [(name, str) for name in _ERROR_FIELDS]
        )
        to_error = beam.Map(_to_error_row, named).with_output_types(error_type)
        return {
            "good": classified.predictions | "Rows" >> to_row,
            self._error_output: classified.failures | "Errors" >> to_error,
        }

    def _check_fields(self, element_type: Any) -> dict[str, Any]:  # noqa: ANN401  a type
        try:
            fields = dict(named_fields_from_element_type(element_type))
        except (TypeError, ValueError) as error:
            option = "image_field" if self.uri_field is None else "uri_field"
            problem = f"the input has no schema, its elements are {element_type}; see beam.Select"
            raise ConfigError(option, getattr(self, option), problem) from error
        for option in ("uri_field", "image_field"):
            name = getattr(self, option)
            if name is not None and name not in fields:
                problem = f"the input has no such field; it has {', '.join(fields)}"
                raise ConfigError(option, name, problem)
        if taken := sorted(RESULT_FIELDS.keys() & fields.keys()):
            problem = "a result has this name; rename the field of the input"
            raise ConfigError("field", taken[0], problem)
        return fields


def _find_error_output(error_handling: Mapping[str, Any] | None) -> str | None:
    """The name of the output for errors; None for none."""
    if error_handling is None:
        return None
    output = error_handling.get("output")
    # Keys of Beam's own, such as __line__, come along from a YAML file.
    others = [key for key in error_handling if key != "output" and not key.startswith("__")]
    if not isinstance(output, str) or not output or output == "good" or others:
        problem = "allowed: {output: NAME}, and no other key; NAME is not good"
        raise ConfigError("error_handling", dict(error_handling), problem)
    return output


def _to_input(
    row: Any,  # noqa: ANN401  beam.Row or a NamedTuple
    uri_field: str | None,
    image_field: str | None,
) -> ImageRef | EncodedImage | Failure:
    uri = getattr(row, uri_field) if uri_field else ""
    if image_field is None:
        if isinstance(uri, str):
            return _RowRef(uri, row=row)
        return _refuse(row, "", f"the field {uri_field} holds no text")
    name = uri if isinstance(uri, str) else ""
    data = getattr(row, image_field)
    if not isinstance(data, bytes):
        return _refuse(row, name, f"the field {image_field} holds no bytes")
    return EncodedImage(_RowRef(name, row=row), data)


def _refuse(row: Any, uri: str, message: str) -> Failure:  # noqa: ANN401
    ref = _RowRef(uri, row=row)
    return Failure(ref, Stage.LIST, FailureCode.INVALID_REFERENCE, message)


def _to_row(outcome: Outcome, kept: Sequence[str], model_key: str) -> beam.Row:
    fields = {name: getattr(_row_of(outcome), name) for name in kept}
    return beam.Row(**fields, **_to_result(outcome), model_key=model_key)


def _to_result(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        error = beam.Row(
            stage=str(outcome.stage),
            code=str(outcome.code),
            message=outcome.message,
            attempts=outcome.tries,
        )
        top = {"top_label": None, "top_score": None, "top_margin": None}
        return {"status": "error", "predictions": [], **top, "error": error}
    best = outcome.labels[0]
    return {
        "status": "ok",
        "predictions": [beam.Row(label=each.label, score=each.score) for each in outcome.labels],
        "top_label": best.label,
        "top_score": best.score,
        "top_margin": outcome.margin,
        "error": None,
    }


def _to_error_row(failure: Failure, named: Sequence[str]) -> beam.Row:
    return beam.Row(
        **{name: getattr(_row_of(failure), name) for name in named},
        element=_row_of(failure),
        msg=f"{failure.stage}: {failure.code}: {failure.message}",
        stack="",
        stage=str(failure.stage),
        code=str(failure.code),
    )


def _row_of(outcome: Outcome) -> Any:  # noqa: ANN401
    if not isinstance(outcome.ref, _RowRef):
        raise TypeError(f"{outcome.ref.uri}: the outcome has lost its row")
    return outcome.ref.row
