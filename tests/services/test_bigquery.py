"""Published runs in BigQuery's tables, through a running emulator."""

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery

from imgcls_beam.bigquery import TableName, quote_text
from imgcls_beam.errors import PublishError
from imgcls_beam.stores import join_url
from imgcls_beam.warehouse import load_run
from imgcls_beam.warehouse.columns import to_run_row
from tests.bigquery import Emulator, make_client
from tests.servers import serve_gcs
from tests.staged import RUN
from tests.warehouse import count_rows, list_tables, publish_run, read_files, read_rows

NEXT_DAY = RUN.run_date + datetime.timedelta(days=1)


def test_every_row_of_the_files_is_a_row_of_the_table(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    record = publish_run(str(tmp_path), [20, 30, 7])
    loaded = load_run(table, str(tmp_path), record)
    assert (loaded.rows, loaded.was_loaded) == (57, False)
    assert read_rows(table) == read_files(str(tmp_path), record)
    assert list_tables(table) == {"predictions", "prediction_runs"}


def test_the_row_of_a_run_says_what_its_record_says(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    run = dataclasses.replace(RUN, model_id="/models/\udcff'`\n")
    record = publish_run(str(tmp_path), [9], run=run)
    record = dataclasses.replace(record, library_versions={"é": "😀"})
    load_run(table, str(tmp_path), record)
    (found,) = (dict(row) for row in make_client().list_rows(str(table.runs)))
    expected = to_run_row(record)
    assert list(found) == list(expected)
    assert found["model_id"] == "/models/\ufffd'`\n"
    assert json.loads(found["library_versions"]) == {"é": "😀"}
    assert found["started_at"] == record.started_at
    assert found["publications"][0]["finished_at"] == record.finished_at
    for name in ("attempt", "listed", "ok", "error", "parameters", "labels", "errors", "files"):
        assert found[name] == expected[name]
    for name in ("score_histogram", "error_ratio", "duration_s", "configuration_sha256"):
        assert found[name] == expected[name]


def test_a_run_without_rows_is_a_run(table: TableName, tmp_path: pathlib.Path) -> None:
    record = publish_run(str(tmp_path), [])
    load_run(table, str(tmp_path), record)
    assert count_rows(table) == {"r1": (record.session_id, 0, 0)}


def test_loading_twice_is_loading_once(table: TableName, tmp_path: pathlib.Path) -> None:
    record = publish_run(str(tmp_path), [10, 10])
    load_run(table, str(tmp_path), record)
    assert load_run(table, str(tmp_path), record).was_loaded
    assert count_rows(table) == {"r1": (record.session_id, 20, 20)}


@pytest.mark.parametrize("run_date", [RUN.run_date, NEXT_DAY])
def test_another_session_takes_the_place_of_the_first_whatever_its_day(
    table: TableName, tmp_path: pathlib.Path, run_date: datetime.date
) -> None:
    first = publish_run(str(tmp_path), [10, 10])
    load_run(table, str(tmp_path), first)
    run = dataclasses.replace(RUN, run_date=run_date)
    second = publish_run(str(tmp_path), [7], attempt=2, run=run, base=first)
    load_run(table, str(tmp_path), second, expected_session=first.session_id)
    assert count_rows(table) == {"r1": (second.session_id, 7, 7)}
    assert read_rows(table) == read_files(str(tmp_path), second)


def test_runs_stand_beside_each_other(table: TableName, tmp_path: pathlib.Path) -> None:
    records = []
    for run_id, rows in (("r.1", 5), ("r-1", 6), ("7", 7)):
        run = dataclasses.replace(RUN, run_id=run_id)
        records.append(publish_run(str(tmp_path), [rows], run=run))
        load_run(table, str(tmp_path), records[-1])
    assert count_rows(table) == {
        record.run_id: (record.session_id, record.listed, record.listed) for record in records
    }
    for record in records:
        where = f"run_id = {quote_text(record.run_id)}"
        assert read_rows(table, where) == read_files(str(tmp_path), record)


def spoil_column(data: pa.Table) -> pa.Table:
    at = data.column_names.index("top_score")
    return data.set_column(at, "top_score", data["top_score"].cast(pa.float32()))


def drop_column(data: pa.Table) -> pa.Table:
    return data.drop_columns(["request_id"])


def allow_null(data: pa.Table) -> pa.Table:
    at = data.schema.get_field_index("status")
    return data.cast(data.schema.set(at, data.schema.field(at).with_nullable(True)))


def drop_row(data: pa.Table) -> pa.Table:
    return data.slice(1)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (spoil_column, "its column top_score is float, not double"),
        (drop_column, "it has no column request_id"),
        (allow_null, "its column status is string, not string not null"),
        (drop_row, "9 rows of 10"),
        (None, "it is no Parquet file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_any_load(
    table: TableName,
    tmp_path: pathlib.Path,
    spoil: Callable[[pa.Table], pa.Table] | None,
    problem: str,
) -> None:
    record = publish_run(str(tmp_path), [20, 10])
    (spoiled,) = (file for file in record.files if file.rows == 10)
    path = tmp_path / spoiled.path
    if spoil is None:
        path.write_bytes(b"nonsense")
    else:
        pq.write_table(spoil(pq.ParquetFile(path).read()), path)
    changed = dataclasses.replace(spoiled, size_bytes=path.stat().st_size)
    files = tuple(changed if file == spoiled else file for file in record.files)
    with pytest.raises(PublishError, match=problem) as refused:
        load_run(table, str(tmp_path), dataclasses.replace(record, files=files))
    assert spoiled.path in str(refused.value)
    assert list_tables(table) == {"predictions", "prediction_runs"}
    assert count_rows(table) == {}


def test_files_on_googles_store_are_loaded_from_there(
    table: TableName, bigquery_emulator: Emulator
) -> None:
    with serve_gcs(bigquery_emulator.gcs_folder) as server:
        output = f"{server.root}/out"
        record = publish_run(output, [20, 10])
        load_run(table, output, record)
        assert load_run(table, output, record).was_loaded
        assert read_rows(table) == read_files(output, record)
        uris = {join_url(output, file.path) for file in record.files}
    jobs = [job for job in make_client().list_jobs() if isinstance(job, bigquery.LoadJob)]
    assert any(set(job.source_uris or ()) == uris for job in jobs)
