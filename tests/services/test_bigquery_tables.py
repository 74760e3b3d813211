"""The two tables as they are made, checked and asked, through a running emulator."""

import collections
import dataclasses
import json
import pathlib

import pytest
from google.cloud import bigquery

from imgcls_beam.bigquery import TableName
from imgcls_beam.errors import ConfigError
from imgcls_beam.options import OutputOptions
from imgcls_beam.scoring import ModelSource
from imgcls_beam.sinks.history import Kind, Selection
from imgcls_beam.warehouse import (
    CurrentRun,
    ensure_tables,
    find_run,
    load_run,
    parse_table,
    read_images,
    read_scored,
    read_table_history,
)
from imgcls_beam.warehouse.columns import CLUSTERING
from tests.bigquery import Emulator, make_client
from tests.staged import RUN, SCORING, make_session_id, scoring_of
from tests.warehouse import publish_run, read_files, read_rows

FAST = {"decode": {"preprocess": "fast"}}
OTHER_MODEL = ModelSource("owner/model", "b" * 40, "owner/model", "b" * 40)


def test_both_tables_are_made_as_the_schemas_say(table: TableName) -> None:
    ensure_tables(table)  # a second time changes nothing
    folder = pathlib.Path(__file__).parents[2] / "schemas"
    for name, clustering in ((table, list(CLUSTERING)), (table.runs, None)):
        made = make_client().get_table(str(name))
        schema = json.loads((folder / f"{name.table}.bigquery.json").read_text())
        assert made.schema == [bigquery.SchemaField.from_api_repr(column) for column in schema]
        assert made.time_partitioning.field == "run_date"
        assert made.clustering_fields == clustering


def test_a_dataset_that_is_not_there_is_a_sentence(bigquery_emulator: Emulator) -> None:
    del bigquery_emulator
    name = parse_table("test-project.nowhere.predictions")
    for call in (ensure_tables, lambda name: find_run(name, "r1")):
        with pytest.raises(ConfigError, match="bq mk --dataset test-project:nowhere"):
            call(name)


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (None, "no column top_label"),
        (("top_label", "INTEGER", "NULLABLE"), "top_label is INTEGER NULLABLE, not STRING"),
        (("top_label", "STRING", "REPEATED"), "top_label is STRING REPEATED, not STRING NULLABLE"),
        (("top_label", "STRING", "REQUIRED"), "top_label is STRING REQUIRED, not STRING NULLABLE"),
    ],
)
def test_a_table_of_other_columns_is_refused_by_their_name(
    table: TableName, column: tuple[str, str, str] | None, problem: str
) -> None:
    other = table.beside("others")
    ours = make_client().get_table(str(table)).schema
    schema = [field for field in ours if field.name != "top_label"]
    if column is not None:
        schema.append(bigquery.SchemaField(*column))
    make_client().create_table(bigquery.Table(str(other), schema=schema))
    with pytest.raises(ConfigError, match=problem):
        ensure_tables(other)


def test_columns_that_others_added_stay_and_are_null(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    other = table.beside("others")
    ours = make_client().get_table(str(table)).schema
    schema = [bigquery.SchemaField("reviewed", "STRING"), *reversed(ours)]
    make_client().create_table(bigquery.Table(str(other), schema=schema))
    ensure_tables(other)
    record = publish_run(str(tmp_path), [8])
    load_run(other, str(tmp_path), record)
    assert other.runs.table == "others_runs"
    expected = [row | {"reviewed": None} for row in read_files(str(tmp_path), record)]
    assert read_rows(other) == expected


def test_what_is_published_is_found_by_run_model_and_parameters(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    assert find_run(table, "r1") == find_run(table.beside("absent"), "r1") == CurrentRun()
    for run, rows in ((RUN, 8), (dataclasses.replace(RUN, run_id="r2", top_k=None), 4)):
        load_run(table, str(tmp_path), publish_run(str(tmp_path), [rows], run=run))
    assert find_run(table, "r1").session_id == make_session_id(1)
    scored = {(f"gs://b/{i:06d}", None) for i in range(8) if i % 4}
    assert set(read_scored(table, SCORING)) == scored
    assert set(read_scored(table, SCORING, except_run="r1")) == set()
    assert len(list(read_scored(table, dataclasses.replace(SCORING, top_k=None)))) == 3
    assert list(read_scored(table, dataclasses.replace(SCORING, function_to_apply="softmax"))) == []
    assert list(read_scored(table, dataclasses.replace(SCORING, model=OTHER_MODEL))) == []
    assert sorted(read_images(table, "r1", "error")) == [
        ("gs://b/000000", None),
        ("gs://b/000004", None),
    ]
    fast = publish_run(str(tmp_path), [8], run=dataclasses.replace(RUN, run_id="r3"))
    load_run(table, str(tmp_path), dataclasses.replace(fast, configuration=FAST))
    assert set(read_scored(table, SCORING, except_run="r1")) == set()
    assert set(read_scored(table, dataclasses.replace(SCORING, preprocess="fast"))) == scored
    assert len(list(read_images(table, "r2"))) == 4
    assert list(read_images(table.beside("absent"), "r1")) == []


def test_a_run_of_several_models_says_nothing_to_a_new_run_as_its_parameters_are_not_there(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    record = publish_run(str(tmp_path), [8])
    other = dataclasses.replace(record.models[0], id="z/other", key=f"z/other@{'0' * 12}")
    record = dataclasses.replace(record, models=(*record.models, other))
    assert record.parameters is None
    load_run(table, str(tmp_path), record)
    for top_k in (SCORING.top_k, None):
        assert list(read_scored(table, dataclasses.replace(SCORING, top_k=top_k))) == []


def test_the_table_says_to_a_new_run_what_the_files_say(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    load_run(table, str(tmp_path), publish_run(str(tmp_path), [8]))
    for run_id, only, if_exists, kinds in (
        ("r2", "new", "fail", {Kind.SCORED: 6}),
        ("r1", "new", "replace", {}),
        ("r1", "new", "append", {Kind.PRESENT: 8, Kind.SCORED: 6}),
        ("r1", "all", "append", {Kind.PRESENT: 8}),
        ("r1", "errors", "fail", {Kind.FAILED: 2}),
    ):
        run = dataclasses.replace(RUN, run_id=run_id)
        options = OutputOptions(None, run_id, RUN.run_date, if_exists, table=str(table), only=only)
        selection = Selection.of_run(options, scoring_of(run))
        assert selection is not None
        known = list(read_table_history(selection))
        assert collections.Counter(row.kind for row in known) == kinds
        assert len({(row.digest, row.kind) for row in known}) == len(known)
