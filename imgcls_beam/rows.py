"""One row per image: predictions, failures and what was skipped become Arrow record batches.

::

    Prediction ─┐
    Failure ────┼─▶ to_record_batch ─▶ RecordBatch of SCHEMA
    Skipped ────┘

Batches are built a column at a time: a row never exists as a Python dict. `run_date`, `model` and
`run_id` are no columns: they are the keys of the path under which a file is published.
"""

import datetime
import itertools
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from imgcls_beam.attributes import encode_attributes
from imgcls_beam.elements import Failure, ImageRef, Outcome, Prediction, Skipped
from imgcls_beam.fitting import (
    INT32_MAX,
    INT64_MAX,
    fit_integer,
    fit_number,
    fit_time,
    spell_id,
)
from imgcls_beam.scoring import Scoring
from imgcls_beam.spec import LabelScore

_SURROGATE = re.compile("[\ud800-\udfff]")
_TIME = pa.timestamp("us", tz="UTC")

_TEXT, _INT32, _INT64, _DOUBLE = pa.string(), pa.int32(), pa.int64(), pa.float64()

_ELEMENT = pa.struct(
    [pa.field("label", _TEXT, nullable=False), pa.field("score", _DOUBLE, nullable=False)]
)
# Parquet's compliant name of a list's child is `element`; pyarrow's own default is `item`.
_PREDICTIONS = pa.list_(pa.field("element", _ELEMENT, nullable=False))
_ERROR = pa.struct({"stage": _TEXT, "code": _TEXT, "message": _TEXT, "attempts": _INT32})
_PARAMS = pa.struct({"top_k": _INT32, "function_to_apply": _TEXT, "function_source": _TEXT})

_STATUS_OF = {Prediction: "ok", Failure: "error", Skipped: "skipped"}

# name, type, whether a value is required, what it says
_COLUMNS = (
    ("image_uri", _TEXT, True, "Where the image lies, with its scheme"),
    ("image_version", _TEXT, False, "Generation, etag or modification time in its store"),
    ("image_sha256", _TEXT, False, "SHA-256 of the encoded image, 64 hex digits"),
    ("image_bytes", _INT64, False, "Length of the encoded image in bytes"),
    ("image_width", _INT32, False, "Width in pixels, upright"),
    ("image_height", _INT32, False, "Height in pixels, upright"),
    ("image_format", _TEXT, False, "Format of the encoded image, e.g. JPEG"),
    ("image_updated_at", _TIME, False, "When the store says the image was last written, UTC"),
    ("status", _TEXT, True, "ok, error or skipped"),
    ("predictions", _PREDICTIONS, True, "The task's response, best first; empty if there is none"),
    ("top_label", _TEXT, False, "The best label"),
    ("top_score", _DOUBLE, False, "The best label's score"),
    ("top_margin", _DOUBLE, False, "Best score minus the second best over all classes"),
    ("error", _ERROR, False, "Why there is no prediction; null where there is one"),
    ("params", _PARAMS, False, "The parameters in force, and on whose word"),
    ("model_id", _TEXT, True, "Hub id or folder of the model"),
    ("model_revision", _TEXT, True, "Commit of the model, or SHA-256 of its folder"),
    ("model_key", _TEXT, True, "Hub id or the word folder, @, and 12 characters of the revision"),
    ("predicted_at", _TIME, True, "When the image was done with, UTC"),
    ("device", _TEXT, False, "Where the model ran, e.g. cpu, cuda:0"),
    ("dtype", _TEXT, False, "Type of the model's weights, e.g. float32"),
    ("batch_size", _INT32, False, "Images in the forward pass"),
    ("preprocess_ms", _DOUBLE, False, "Processor time of decoding and geometry, milliseconds"),
    ("inference_ms", _DOUBLE, False, "Wall time of the forward pass, milliseconds per image"),
    ("library_versions", _TEXT, True, "Versions of the libraries in use, a JSON object"),
    ("request_id", _TEXT, False, "The request's own id"),
    ("attributes", _TEXT, False, "Columns carried from the input, a JSON object"),
    ("shared_with", _TEXT, False, "URI of the image of the same bytes whose scores these are"),
    ("duplicates", _INT32, False, "Equal references that were listed beside this one"),
)

SCHEMA: pa.Schema = pa.schema(
    [
        pa.field(name, kind, nullable=not required, metadata={"description": description})
        for name, kind, required, description in _COLUMNS
    ]
)


def to_record_batch(
    outcomes: Sequence[Outcome | Skipped], library_versions: str = "{}"
) -> pa.RecordBatch:
    """Makes one row per outcome, in their order.

    Text that UTF-8 cannot carry (a lone surrogate, as in the name of a file whose name is not
    UTF-8) is written with U+FFFD in its place. A number or time that its column cannot hold is
    null.

    Args:
        outcomes: of one model or several.
        library_versions: of the worker, a JSON object in text.

    Returns:
        A record batch of `SCHEMA`.

    Raises:
        TypeError: a failure that no model has taken.
    """
    run_columns = _run_columns(outcomes, library_versions)
    columns = _image_columns(outcomes) | _result_columns(outcomes) | run_columns
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def fit_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of any version of `SCHEMA` as rows of this one; a column that they lack is null."""
    rows = batch.num_rows
    for field in SCHEMA:
        if field.name not in batch.schema.names and field.nullable:
            batch = batch.append_column(field, pa.nulls(rows, field.type))
    return batch


def replace_surrogates(text: str) -> str:
    """The text as a row holds it: U+FFFD in the place of what UTF-8 cannot carry."""
    return _SURROGATE.sub("\ufffd", text)


def describe_schema() -> dict[str, Any]:
    """The schema as a JSON object; `schemas/predictions.arrow.json` is this and nothing else."""
    return {
        "columns": [_describe_field(field) for field in SCHEMA],
        "path_keys": ["run_date", "model", "run_id"],
    }


def _describe_field(field: pa.Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "type": str(field.type),
        "nullable": field.nullable,
        "description": field.metadata[b"description"].decode(),
    }


def _image_columns(outcomes: Sequence[Outcome | Skipped]) -> dict[str, pa.Array]:
    refs = [outcome.ref for outcome in outcomes]
    facts = [None if isinstance(outcome, Skipped) else outcome.facts for outcome in outcomes]
    # An object that was refused for its size was never read: its listed size is what is known.
    sizes = [f.size_bytes if f else ref.size_bytes for f, ref in zip(facts, refs, strict=True)]
    return {
        "image_uri": _texts([ref.uri for ref in refs]),
        "image_version": _texts([ref.version for ref in refs]),
        "image_sha256": _texts([f.sha256 if f else None for f in facts]),
        "image_bytes": _integers(sizes, _INT64),
        "image_width": _integers([f.width_px if f else None for f in facts]),
        "image_height": _integers([f.height_px if f else None for f in facts]),
        "image_format": _texts([f.format if f else None for f in facts]),
        "image_updated_at": pa.array([fit_time(ref.updated_at) for ref in refs], _TIME),
        "request_id": _texts(
            [None if r.request_id is None else spell_id(r.request_id) for r in refs]
        ),
        "attributes": _texts(list(map(_encode_attributes, refs))),
        "duplicates": pa.array([min(ref.duplicates, INT32_MAX) for ref in refs], _INT32),
    }


def _result_columns(outcomes: Sequence[Outcome | Skipped]) -> dict[str, pa.Array]:
    predictions = [o if isinstance(o, Prediction) else None for o in outcomes]
    labels = [p.labels if p else () for p in predictions]
    best = [row[0] if row else None for row in labels]
    return {
        "status": _texts([_STATUS_OF[type(o)] for o in outcomes]),
        "predictions": _label_lists(labels),
        "top_label": _texts([top.label if top else None for top in best]),
        "top_score": pa.array([top.score if top else None for top in best], _DOUBLE),
        "top_margin": _numbers([p.margin if p else None for p in predictions]),
        "error": _errors([o if isinstance(o, Failure) else None for o in outcomes]),
        "shared_with": _texts([p.shared_with if p else None for p in predictions]),
        "params": _params(outcomes),
    }


def _run_columns(
    outcomes: Sequence[Outcome | Skipped], library_versions: str
) -> dict[str, pa.Array]:
    rows = len(outcomes)
    predictions = [o if isinstance(o, Prediction) else None for o in outcomes]
    execution = [p.execution if p else None for p in predictions]
    models = [scoring_of(outcome).model for outcome in outcomes]
    return {
        "model_id": _texts([model.model_id for model in models]),
        "model_revision": _texts([model.revision for model in models]),
        "model_key": _texts([model.key for model in models]),
        "predicted_at": pa.array(map(_done_at, outcomes), _TIME),
        "device": _texts([e.device if e else None for e in execution]),
        "dtype": _texts([e.dtype if e else None for e in execution]),
        "batch_size": _integers([e.batch_size if e else None for e in execution]),
        "preprocess_ms": _numbers([p.prepare_ms if p else None for p in predictions]),
        "inference_ms": _numbers([e.inference_ms if e else None for e in execution]),
        "library_versions": pa.repeat(pa.scalar(library_versions, _TEXT), rows),
    }


def _done_at(outcome: Outcome | Skipped) -> datetime.datetime:
    if isinstance(outcome, Prediction):
        return outcome.execution.finished_at
    return outcome.failed_at if isinstance(outcome, Failure) else outcome.skipped_at


def _label_lists(labels: Sequence[tuple[LabelScore, ...]]) -> pa.Array:
    flat = [label for row in labels for label in row]
    names = _texts([label.label for label in flat])
    scores = pa.array([label.score for label in flat], _DOUBLE)
    elements = pa.StructArray.from_arrays([names, scores], fields=list(_ELEMENT))
    offsets = pa.array(itertools.accumulate(map(len, labels), initial=0), _INT32)
    return pa.ListArray.from_arrays(offsets, elements, type=_PREDICTIONS)


def _encode_attributes(ref: ImageRef) -> str | None:
    return None if ref.attributes is None else encode_attributes(ref.attributes)


def _errors(failures: Sequence[Failure | None]) -> pa.Array:
    return pa.StructArray.from_arrays(
        [
            _texts([f.stage if f else None for f in failures]),
            _texts([f.code if f else None for f in failures]),
            _texts([f.message if f else None for f in failures]),
            _integers([f.tries if f else None for f in failures]),
        ],
        fields=list(_ERROR),
        mask=pa.array([f is None for f in failures], pa.bool_()),
    )


def _params(outcomes: Sequence[Outcome | Skipped]) -> pa.Array:
    rows = list(map(_applied_to, outcomes))
    # A request may ask for any number of labels; more than a column holds is as good as its most.
    top_k = [None if k is None else min(k, INT32_MAX) for k, _, _ in rows]
    return pa.StructArray.from_arrays(
        [
            pa.array(top_k, _INT32),
            _texts([function for _, function, _ in rows]),
            _texts([source for _, _, source in rows]),
        ],
        fields=list(_PARAMS),
    )


def _applied_to(outcome: Outcome | Skipped) -> tuple[int | None, str | None, str | None]:
    """What was applied; where nothing was predicted, what the job asked for."""
    if isinstance(outcome, Prediction):
        applied = outcome.applied
        return applied.top_k, applied.function_to_apply, applied.function_source
    asked = scoring_of(outcome)
    source = None if asked.function_to_apply is None else "job"
    return asked.top_k, asked.function_to_apply, source


def scoring_of(outcome: Outcome | Skipped) -> Scoring:
    """The model of an outcome, and what was asked of it.

    Raises:
        TypeError: a failure that no model has taken.
    """
    if outcome.scoring is None:
        problem = "the failure names no model; write what ClassifyImages gives"
        raise TypeError(f"{outcome.ref.uri}: {problem}")
    return outcome.scoring


def _integers(values: Sequence[int | None], kind: pa.DataType = _INT32) -> pa.Array:
    largest = INT32_MAX if kind == _INT32 else INT64_MAX
    return pa.array([fit_integer(value, largest) for value in values], kind)


def _numbers(values: Sequence[float | None]) -> pa.Array:
    return pa.array(map(fit_number, values), _DOUBLE)


def _texts(values: Sequence[str | None]) -> pa.Array:
    try:
        return pa.array(values, _TEXT)
    except UnicodeEncodeError:  # rare, so looked for only once it happened
        cleaned = [None if value is None else replace_surrogates(value) for value in values]
        return pa.array(cleaned, _TEXT)
