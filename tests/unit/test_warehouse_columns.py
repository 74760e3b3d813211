import dataclasses
import datetime
import json
import pathlib
from typing import Any

import pyarrow as pa
import pytest
from google.cloud import bigquery

from imgcls_beam.rows import SCHEMA
from imgcls_beam.sinks import RunRecord
from imgcls_beam.sinks.record import RecordedFile, RecordedModel, RecordedPublication
from imgcls_beam.summary import summarize
from imgcls_beam.warehouse.columns import (
    PREDICTIONS,
    REPEATED,
    REQUIRED,
    RUNS,
    Column,
    to_run_row,
)
from schemas.__main__ import GENERATED
from tests.staged import NOON, RUN, STARTED, make_batch

FOLDER = pathlib.Path(__file__).parents[2] / "schemas"
RECORD = RunRecord(
    run_id="r1",
    run_date=RUN.run_date,
    session_id="a" * 32,
    state="DONE",
    models=RecordedModel.of_scorings([RUN.scoring]),
    listed=8,
    summary=summarize(make_batch(0, 8)).to_json(),
    publications=(RecordedPublication("a" * 32, "new", STARTED, NOON, 8),),
    files=(RecordedFile("predictions/a.parquet", 8, 1000, "0" * 64),),
    configuration={"input": ["é"]},
    library_versions={"torch": "2.13"},
)


@pytest.mark.parametrize("name", [name for name in GENERATED if "bigquery" in name])
def test_the_schemas_are_what_the_code_says(name: str) -> None:
    text = json.dumps(GENERATED[name](), indent=2, ensure_ascii=False) + "\n"
    assert (FOLDER / name).read_text(encoding="utf-8") == text, "run `make schemas`"


def test_the_runs_table_is_read_whole_from_the_schema_that_people_copy() -> None:
    described = json.loads((FOLDER / "prediction_runs.bigquery.json").read_text(encoding="utf-8"))
    assert [column.to_json() for column in RUNS] == described
    assert [bigquery.SchemaField.from_api_repr(each).to_api_repr() for each in described] == (
        described
    )
    assert all(column.description for column in RUNS)


def test_predictions_are_the_columns_of_the_files_and_two_keys() -> None:
    names = [column.name for column in PREDICTIONS]
    assert names == [*SCHEMA.names, "run_id", "run_date"]
    for column, field in zip(PREDICTIONS, SCHEMA, strict=False):
        is_list = pa.types.is_list(field.type)
        expected = REPEATED if is_list else "NULLABLE" if field.nullable else REQUIRED
        assert column.mode == expected
        assert column.description


def test_labels_and_scores_are_a_repeated_record() -> None:
    (predictions,) = (column for column in PREDICTIONS if column.name == "predictions")
    assert predictions.to_json() | {"description": ""} == {
        "name": "predictions",
        "type": "RECORD",
        "mode": "REPEATED",
        "description": "",
        "fields": [
            {"name": "label", "type": "STRING", "mode": "REQUIRED"},
            {"name": "score", "type": "FLOAT", "mode": "REQUIRED"},
        ],
    }


KINDS: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "INTEGER": (int,),
    "FLOAT": (int, float),
    "DATE": (str,),
    "TIMESTAMP": (str,),
    "RECORD": (dict,),
}


def check_value(column: Column, value: Any) -> None:
    values = value if column.mode == REPEATED else [value]
    if column.mode == "NULLABLE" and value is None:
        return
    for each in values:
        assert isinstance(each, KINDS[column.kind]), column.name
        if column.kind == "RECORD":
            assert set(each) == {field.name for field in column.fields}, column.name
            for field in column.fields:
                check_value(field, each[field.name])


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        dataclasses.replace(
            RECORD, models=(dataclasses.replace(RECORD.models[0], weights="model.safetensors"),)
        ),
        dataclasses.replace(RECORD, listed=0, summary=summarize(make_batch(0, 0)).to_json()),
        dataclasses.replace(RECORD, files=(), configuration={}, library_versions={}),
    ],
)
def test_the_row_of_a_run_fits_its_table(record: RunRecord) -> None:
    row = to_run_row(record)
    assert list(row) == [column.name for column in RUNS]
    for column in RUNS:
        check_value(column, row[column.name])


def test_the_row_of_a_run_holds_all_that_its_record_holds() -> None:
    row = to_run_row(RECORD)
    assert (row["listed"], row["ok"], row["error"], row["skipped"]) == (8, 6, 2, 0)
    assert row["model_key"] == RUN.model_key
    assert row["model_weights"] is None
    assert row["configuration"] == '{"input":["é"]}'
    assert row["error_ratio"] == 0.25
    assert datetime.datetime.fromisoformat(row["finished_at"]) == NOON
    # What the record nests stands flat; what the table leaves out is said here.
    flat = {"model", "models", "counts", "format_version", "problem", "passed_over", "engines"}
    flat |= {"sandbox", "recovered"}
    assert set(json.loads(RECORD.to_json())) - set(row) == flat
