"""The two tables of the warehouse: `predictions`, and `prediction_runs` beside it.

`predictions` is `rows.SCHEMA` and two of the keys that files carry in their path. `prediction_runs`
is defined in `schemas/prediction_runs.bigquery.json`. It is the run record, a row a run: what nests
in the record's JSON is flat here, and the two objects of open shape are JSON in text.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from imgcls_beam.rows import SCHEMA, replace_surrogates
from imgcls_beam.sinks import RunRecord

REQUIRED, NULLABLE, REPEATED = "REQUIRED", "NULLABLE", "REPEATED"

_ARROW_TYPES = {
    "STRING": pa.string(),
    "INTEGER": pa.int64(),
    "FLOAT": pa.float64(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "DATE": pa.date32(),
}
_KINDS = {kind: name for name, kind in _ARROW_TYPES.items()} | {pa.int32(): "INTEGER"}


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, or a field of a struct, in the words of BigQuery's API.

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

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Column":
        """The column that `to_json` describes."""
        nested = tuple(map(cls.from_json, fields.get("fields", ())))
        description = fields.get("description", "")
        return cls(fields["name"], fields["type"], fields["mode"], description, nested)

    def to_json(self) -> dict[str, Any]:
        """The column as BigQuery's API takes it."""
        described = {"description": self.description} if self.description else {}
        nested = {"fields": [field.to_json() for field in self.fields]} if self.fields else {}
        return {"name": self.name, "type": self.kind, "mode": self.mode, **described, **nested}

    @classmethod
    def from_arrow(cls, field: pa.Field) -> "Column":
        """The column that holds this field of Parquet files."""
        repeated = pa.types.is_list(field.type)
        kind = field.type.value_type if repeated else field.type
        mode = REPEATED if repeated else NULLABLE if field.nullable else REQUIRED
        nested = tuple(map(cls.from_arrow, kind)) if pa.types.is_struct(kind) else ()
        description = (field.metadata or {}).get(b"description", b"").decode()
        return cls(field.name, "RECORD" if nested else _KINDS[kind], mode, description, nested)

    def to_arrow(self) -> pa.Field:
        """The field of an Arrow table that holds this column; any may be null."""
        nested = pa.struct([field.to_arrow() for field in self.fields])
        kind = nested if self.fields else _ARROW_TYPES[self.kind]
        return pa.field(self.name, pa.list_(kind) if self.mode == REPEATED else kind)


def read_schema(name: str) -> str:
    """The text of a file of `schemas/`: a folder of the package, or beside it in a checkout."""
    package = pathlib.Path(__file__).parents[1]
    folders = (package / "schemas", package.parent / "schemas")
    found = next(folder for folder in folders if folder.is_dir())
    return (found / name).read_text(encoding="utf-8")


FILE_COLUMNS = tuple(map(Column.from_arrow, SCHEMA))
"""The columns of a published file, in its order."""

RUNS = tuple(map(Column.from_json, json.loads(read_schema("prediction_runs.bigquery.json"))))
"""One row per run."""

PREDICTIONS = (*FILE_COLUMNS, *(each for each in RUNS if each.name in ("run_id", "run_date")))
"""One row per image and run."""

PARTITION = "run_date"
CLUSTERING = ["model_key", "top_label", "image_uri"]
"""How `predictions` is laid out; `prediction_runs` has the partitions and no clusters."""

_MODEL = ("id", "revision", "key", "weights")


def to_run_row(record: RunRecord) -> dict[str, Any]:
    """The record as a row of `RUNS`, in JSON's types and in the order of the columns.

    Where a run has several models, their names are joined, and the parameters are null.
    """
    fields = json.loads(record.to_json())
    names = {
        f"model_{name}": ", ".join(each[name] for each in fields["models"] if each.get(name))
        for name in _MODEL
    }
    texts = {name: _to_text(fields[name]) for name in ("configuration", "library_versions")}
    row = fields | names | fields["counts"] | texts
    row["model_weights"] = row["model_weights"] or None
    for file in row["files"]:
        del file["model_key"]
    return {column.name: row[column.name] for column in RUNS}


def encode_run_row(record: RunRecord) -> bytes:
    """The row of `to_run_row` as a line of JSON, without its end."""
    return replace_surrogates(json.dumps(to_run_row(record), ensure_ascii=False)).encode()


def describe(columns: Iterable[Column]) -> list[dict[str, Any]]:
    """The columns as the client takes them, and in a file of JSON `bq mk --schema`."""
    return [column.to_json() for column in columns]


def _to_text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
