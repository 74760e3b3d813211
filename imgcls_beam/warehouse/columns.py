"""The two tables of the warehouse, as data: `predictions`, and `prediction_runs` beside it.

`predictions` is `rows.SCHEMA` and two of the keys that files carry in their path. `prediction_runs`
is the run record, a row a run: what nests in the record's JSON under `model` and `counts` is flat
here, and the two objects of open shape, configuration and library versions, are JSON in text.

Types and modes are spelled as BigQuery's API spells them.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from imgcls_beam.rows import SCHEMA
from imgcls_beam.sinks import RunRecord

REQUIRED, NULLABLE, REPEATED = "REQUIRED", "NULLABLE", "REPEATED"


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, or a field of a struct.

    Attributes:
        name: of the column.
        kind: BigQuery's type: STRING, INTEGER, FLOAT, TIMESTAMP, DATE or RECORD.
        mode: REQUIRED, NULLABLE or REPEATED.
        description: what it says.
        fields: of a RECORD.
    """

    name: str
    kind: str
    mode: str
    description: str = ""
    fields: tuple["Column", ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The column as BigQuery's API takes it."""
        described = {"description": self.description} if self.description else {}
        nested = {"fields": [field.to_json() for field in self.fields]} if self.fields else {}
        return {"name": self.name, "type": self.kind, "mode": self.mode, **described, **nested}


def _column(field: pa.Field, described: str = "") -> Column:
    repeated = pa.types.is_list(field.type)
    kind = field.type.value_type if repeated else field.type
    mode = REPEATED if repeated else NULLABLE if field.nullable else REQUIRED
    nested = tuple(map(_column, kind)) if pa.types.is_struct(kind) else ()
    return Column(field.name, _name_kind(kind), mode, described, nested)


def _name_kind(kind: pa.DataType) -> str:
    for holds, name in (
        (pa.types.is_struct, "RECORD"),
        (pa.types.is_string, "STRING"),
        (pa.types.is_integer, "INTEGER"),
        (pa.types.is_floating, "FLOAT"),
        (pa.types.is_timestamp, "TIMESTAMP"),
    ):
        if holds(kind):
            return name
    raise ValueError(f"no column of BigQuery holds {kind}")


FILE_COLUMNS = tuple(_column(field, field.metadata[b"description"].decode()) for field in SCHEMA)
"""The columns of a published file, in its order."""

_RUN_ID = Column("run_id", "STRING", REQUIRED, "Name of the run")
_RUN_DATE = Column("run_date", "DATE", REQUIRED, "The day to which the run's rows belong")

PREDICTIONS = (*FILE_COLUMNS, _RUN_ID, _RUN_DATE)
"""One row per image and run."""


def _make(kind: str, name: str, description: str, mode: str = REQUIRED) -> Column:
    return Column(name, kind, mode, description)


_count = functools.partial(_make, "INTEGER")
_text = functools.partial(_make, "STRING")
_number = functools.partial(_make, "FLOAT")
_time = functools.partial(_make, "TIMESTAMP")


def _record(name: str, mode: str, description: str, *fields: Column) -> Column:
    return Column(name, "RECORD", mode, description, fields)


RUNS = (
    _RUN_ID,
    _RUN_DATE,
    _text("attempt", "Which start of the program published it, or published to it last"),
    _text("state", "DONE: rows, files and counts add up"),
    _text("model_id", "Hub id or folder of the model"),
    _text("model_revision", "Commit of the model, or SHA-256 of its folder"),
    _text("model_key", "Hub id or the word folder, @, and 12 characters of the revision"),
    _text("model_weights", "The file of the model's weights, where that is known", NULLABLE),
    _record(
        "parameters",
        NULLABLE,
        "As the job asked for them",
        _count("top_k", "Labels per image; null for all", NULLABLE),
        _text("function_to_apply", "Null leaves it to the model", NULLABLE),
    ),
    _count("listed", "Images listed: the sum of the next three"),
    _count("ok", "Images with a prediction"),
    _count("error", "Images that failed"),
    _count("skipped", "Images that were not looked at again"),
    _number("error_ratio", "Error rows per listed image, 0.0 to 1.0"),
    _number("duration_s", "How long the program ran, seconds"),
    _number("images_per_s", "Images looked at per second of that time, start-up included"),
    _time("started_at", "When the program was first started, UTC"),
    _time("finished_at", "When the run record was made, UTC"),
    _time("first_at", "When the first image was done with, UTC", NULLABLE),
    _time("last_at", "When the last image was done with, UTC", NULLABLE),
    _count("bytes_read", "Encoded bytes of the images that were read"),
    _number("preprocess_ms", "Sum over rows, milliseconds"),
    _number("inference_ms", "Sum over rows, milliseconds"),
    _text("configuration", "Of the job, a JSON object"),
    _text("configuration_sha256", "Of the configuration: equal jobs, equal hash"),
    _text("library_versions", "Versions of the libraries in use, a JSON object"),
    _record(
        "labels",
        REPEATED,
        "Rows by their best label, the most frequent first",
        _text("label", ""),
        _count("count", ""),
    ),
    _record(
        "errors",
        REPEATED,
        "Error rows by stage and code, the most frequent first",
        _text("stage", ""),
        _text("code", ""),
        _count("count", ""),
    ),
    _record(
        "score_histogram",
        NULLABLE,
        "Rows by their best score",
        _count("below", "Below 0"),
        _count("bins", "Bins of equal width from 0 to 1", REPEATED),
        _count("above", "Above 1"),
    ),
    _record(
        "files",
        REPEATED,
        "The published Parquet files that were loaded",
        _text("path", "Relative to the output folder"),
        _count("rows", ""),
        _count("size_bytes", ""),
        _text("sha256", ""),
    ),
    _record(
        "publications",
        REPEATED,
        "Each time that rows of the run were published, the first first",
        _text("attempt", ""),
        _text("how", "new, replace, append or errors"),
        _time("started_at", "UTC"),
        _time("finished_at", "UTC"),
        _count("rows", ""),
        _count("skipped", ""),
    ),
)
"""One row per run."""

PARTITION = "run_date"
CLUSTERING = ("model_key", "top_label", "image_uri")
"""How `predictions` is laid out; `prediction_runs` has the partitions and no clusters."""


_MODEL = ("id", "revision", "key", "weights")
_FILE = ("path", "rows", "size_bytes", "sha256")


def to_run_row(record: RunRecord) -> dict[str, Any]:
    """The record as a row of `RUNS`, in JSON's types and in the order of the columns.

    Where a run has several models, their names stand side by side, and the parameters are null.
    """
    fields = json.loads(record.to_json())
    names = {name: [each.get(name) for each in fields["models"]] for name in _MODEL}
    row = fields | {
        **{f"model_{name}": ", ".join(filter(None, names[name])) for name in _MODEL},
        "model_weights": ", ".join(filter(None, names["weights"])) or None,
        "files": [{name: file[name] for name in _FILE} for file in fields["files"]],
        **fields["counts"],
        **{name: _to_text(fields[name]) for name in ("configuration", "library_versions")},
    }
    return {column.name: row[column.name] for column in RUNS}


def _describe(columns: Sequence[Column]) -> list[dict[str, Any]]:
    return [column.to_json() for column in columns]


describe_predictions = functools.partial(_describe, PREDICTIONS)
describe_runs = functools.partial(_describe, RUNS)
"""What `schemas/*.bigquery.json` hold, as `bq mk --schema` takes it."""


def _to_text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
