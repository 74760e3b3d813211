"""A run of a table reads as the run of the folder from which it was loaded."""

import dataclasses
import pathlib

import pytest

from imgcls_beam.analysis import RunPlace, list_runs, open_run
from imgcls_beam.bigquery import TableName
from imgcls_beam.errors import ConfigError
from imgcls_beam.rows import SCHEMA
from imgcls_beam.warehouse import load_run
from tests.staged import RUN, SCORING
from tests.warehouse import publish_run

NOT_IN_TABLES = ("passed_over", "engines", "sandbox", "files", "problem")


def read(place: RunPlace, run_id: str | None = None, **asked: str) -> list[dict[str, object]]:
    batches = open_run(place, run_id).read(SCHEMA.names, **asked)
    rows = [row for batch in batches for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: str(row["image_uri"]))


def test_rows_and_record_are_those_of_the_folder(table: TableName, tmp_path: pathlib.Path) -> None:
    for run in (dataclasses.replace(RUN, run_id="r0"), RUN):
        load_run(table, str(tmp_path), publish_run(str(tmp_path), [8, 3], run=run))
    folder, place = RunPlace(str(tmp_path)), RunPlace(table=str(table))
    assert read(place) == read(folder)
    assert len(read(place, "r0", status="error")) == 3
    assert len(read(place, model_key=SCORING.model.key)) == 11
    assert read(place, model_key="owner/other@000000000000") == []
    assert [each.run_id for each in list_runs(place)] == ["r0", "r1"]
    of_table, of_folder = open_run(place, "r1").record, open_run(folder, "r1").record
    blank = dict.fromkeys(NOT_IN_TABLES, ())
    assert dataclasses.replace(of_table, **blank) == dataclasses.replace(of_folder, **blank)


def test_of_several_models_the_names_are_taken_apart(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    record = publish_run(str(tmp_path), [2])
    names = {"id": "/models/a, b", "revision": "c" * 64, "key": f"folder@{'c' * 12}"}
    folder = dataclasses.replace(record.models[0], **names)
    record = dataclasses.replace(record, models=(folder, record.models[0]))
    load_run(table, str(tmp_path), record)
    models = open_run(RunPlace(table=str(table))).record.models
    assert [each.key for each in models] == [each.key for each in record.models]
    assert [each.id for each in models] == ["folder", "owner/model"]


def test_a_run_that_is_not_there_is_refused(table: TableName) -> None:
    with pytest.raises(ConfigError, match=r"output_table=.*there is no finished run"):
        open_run(RunPlace(table=str(table)), "r1")
    absent = RunPlace(table=str(table.beside("absent")))
    with pytest.raises(ConfigError, match=r"output_table=.*there is no finished run"):
        open_run(absent)
