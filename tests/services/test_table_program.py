"""`imgcls classify --output_table`, from the command line to the tables of an emulated BigQuery."""

import json
import pathlib
from typing import Any

import duckdb
import pytest
from google.cloud import bigquery

from pipelines import pilot, table_output
from pipelines.__main__ import main
from tests.bigquery import ask, make_client, make_dataset
from tests.scenes import write_broken, write_photos

pytestmark = pytest.mark.slow


@pytest.fixture
def dataset(bigquery_emulator: object) -> str:
    """A new one, as `project.dataset`."""
    name = make_dataset()
    return f"{name.project}.{name.dataset}"


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    write_photos(tmp_path / "photos", 9)
    write_broken(tmp_path / "photos", 2)
    return tmp_path / "photos"


def classify(photos: pathlib.Path, model: pathlib.Path, *flags: str) -> int:
    return main(
        ["classify", f"--input={photos}", f"--model={model}", "--max_error_ratio=1", *flags]
    )


COUNTS = "select status, count(*), count(distinct image_uri) from {rows} group by status order by 1"


def count_parquet(output: pathlib.Path) -> list[tuple[Any, ...]]:
    rows = f"read_parquet('{output}/predictions/**/*.parquet', hive_partitioning = true)"
    return duckdb.sql(COUNTS.format(rows=rows)).fetchall()


def count_table(table: str) -> list[tuple[Any, ...]]:
    return ask(COUNTS.format(rows=f"`{table}`"))


def test_both_sinks_of_one_run_hold_the_same_rows_and_replace_replaces_in_both(
    tmp_path: pathlib.Path,
    dataset: str,
    photos: pathlib.Path,
    model_folders: dict[str, pathlib.Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, table = tmp_path / "out", f"{dataset}.predictions"
    both = [f"--output={out}", f"--output_table={table}", "--run_id=r1"]
    assert classify(photos, model_folders["vit"], *both) == 0
    assert f"table:  {table}" in capsys.readouterr().out
    assert count_table(table) == count_parquet(out)
    assert count_parquet(out) == [("error", 2, 2), ("ok", 9, 9)]

    assert classify(photos, model_folders["vit"], *both) == 2
    assert "this run has been published" in capsys.readouterr().err
    assert classify(photos, model_folders["convnext"], *both, "--if_exists=replace") == 0
    assert count_table(table) == count_parquet(out)
    keys = ask(f"select distinct model_key from `{table}`")
    record = json.loads((out / "runs" / "r1.json").read_text())
    assert keys == [(record["model"]["key"],)]
    runs = f"select run_id, attempt, listed, ok, error, state from `{dataset}.prediction_runs`"
    assert ask(runs) == [("r1", record["attempt"], 11, 9, 2, "DONE")]
    left = [each.table_id for each in make_client().list_tables(dataset)]
    assert sorted(left) == ["prediction_runs", "predictions"]


def test_a_table_alone_has_the_rows_and_a_run_id_is_taken_once(
    dataset: str,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = f"{dataset}.predictions"
    alone = [f"--output_table={table}", "--run_id=r1"]
    assert classify(photos, vit_folder, *alone) == 0
    assert "9 ok, 2 error of 11 listed" in capsys.readouterr().out
    assert count_table(table) == [("error", 2, 2), ("ok", 9, 9)]
    assert classify(photos, vit_folder, *alone) == 2
    assert "this run is in" in capsys.readouterr().err
    assert classify(photos, vit_folder, *alone, "--if_exists=replace", "--limit=5") == 0
    assert sum(row[1] for row in count_table(table)) == 5
    for flag in ("--if_exists=append", "--only=errors"):
        assert classify(photos, vit_folder, *alone, flag) == 2
        assert "give its --output too" in capsys.readouterr().err


def plan(capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["plan", *flags, "--json"]) == 0
    listing: dict[str, Any] = json.loads(capsys.readouterr().out)["listing"]
    return listing


def test_a_plan_and_a_report_read_the_table(
    tmp_path: pathlib.Path,
    dataset: str,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pilot, "time_start", lambda words: 2.0)
    where = [f"--input={photos}", f"--model={vit_folder}", f"--output_table={dataset}.predictions"]
    before = plan(capsys, *where)
    assert main(["classify", *where, "--run_id=r1", "--max_error_ratio=1"]) == 0
    after, new = plan(capsys, *where), plan(capsys, *where, "--only=new")
    assert [each["references"] for each in (before, after, new)] == [11, 11, 2]
    assert [each["scored"] for each in (before, after)] == [0, 9]
    assert [each["skipped"] for each in (before, after, new)] == [0, 0, 9]

    page = tmp_path / "report.html"
    command = ["report", where[2], "--run_id=r1", f"--to={page}"]
    assert main(command) == 0
    text = page.read_text()
    assert f"{dataset}.predictions" in text
    assert text.count("data:image/jpeg;base64,") == 9
    for photo in photos.iterdir():
        assert photo.name in text


def test_what_the_table_holds_is_not_scored_again(
    dataset: str,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nightly = [f"--output_table={dataset}.predictions", "--only=new", "--run_id=r-{run_date}"]
    assert classify(photos, vit_folder, *nightly, "--run_date=2026-11-21") == 0
    write_photos(photos / "more", 3, seed=1)
    capsys.readouterr()
    assert classify(photos, vit_folder, *nightly, "--run_date=2026-11-22") == 0
    assert "3 ok, 2 error, 9 skipped of 14 listed" in capsys.readouterr().out


def test_a_run_that_died_between_its_record_and_its_table_is_finished_by_the_same_command(
    tmp_path: pathlib.Path,
    dataset: str,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, table = tmp_path / "out", f"{dataset}.predictions"
    both = [f"--output={out}", f"--output_table={table}", "--run_id=r1"]
    with monkeypatch.context() as patch:
        patch.setattr(
            table_output, "make_writer", _make_no_writer
        )  # it dies right after the record
        assert classify(photos, vit_folder, *both) == 0
    assert count_table(table) == []
    before = sorted(out.rglob("*"))
    assert classify(photos, vit_folder, *both) == 0
    assert count_table(table) == count_parquet(out)
    assert sorted(out.rglob("*")) == before
    capsys.readouterr()
    assert classify(photos, vit_folder, *both) == 2
    assert "this run has been published" in capsys.readouterr().err


def _make_no_writer(*_: object) -> None:
    return None


def test_a_retry_mends_the_table_too(
    tmp_path: pathlib.Path,
    dataset: str,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
) -> None:
    out, table = tmp_path / "out", f"{dataset}.predictions"
    both = [f"--output={out}", f"--output_table={table}", "--run_id=r1"]
    assert classify(photos, vit_folder, *both) == 0
    good = (photos / "0000.jpg").read_bytes()
    (photos / "broken-0-empty.jpg").write_bytes(good)
    assert main(["retry", *both, "--max_error_ratio=1"]) == 0
    assert count_table(table) == [("error", 1, 1), ("ok", 10, 10)]
    assert count_parquet(out) == [("error", 1, 1), ("ok", 10, 10)]


def test_a_table_that_cannot_be_written_stops_the_job_before_the_first_image(
    dataset: str,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = f"{dataset}.mine"
    schema = [bigquery.SchemaField("image_uri", "INTEGER")]
    make_client().create_table(bigquery.Table(other, schema=schema))
    project = dataset.partition(".")[0]
    for table, said in (
        ("no-table", "project.dataset.table"),
        (f"{project}.nowhere.predictions", "dataset"),
        (other, "image_uri"),
    ):
        assert classify(photos, vit_folder, f"--output_table={table}") == 2
        error = capsys.readouterr().err
        assert error.startswith("imgcls classify: output_table=")
        assert said in error
        assert error.count("\n") == 1


def test_the_doctor_looks_for_the_dataset_and_makes_no_table(
    dataset: str, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["doctor", f"--model={vit_folder}"]
    assert main([*command, f"--output_table={dataset}.predictions"]) == 0
    assert "its dataset is there" in capsys.readouterr().out
    assert list(make_client().list_tables(dataset)) == []
    assert main([*command, f"--output_table={dataset}_gone.predictions"]) == 2
    assert "no such dataset" in capsys.readouterr().out


@pytest.mark.parametrize("has_folder", [True, False])
def test_a_night_without_images_is_a_run_of_none_in_the_tables(
    tmp_path: pathlib.Path, dataset: str, vit_folder: pathlib.Path, has_folder: bool
) -> None:
    (tmp_path / "none").mkdir()
    table = f"{dataset}.predictions"
    flags = [f"--output_table={table}", "--run_id=0042", "--allow_empty"]
    flags += [f"--output={tmp_path / 'out'}"] if has_folder else []
    assert classify(tmp_path / "none", vit_folder, *flags) == 0
    runs = f"select run_id, listed, duplicates, state from `{dataset}.prediction_runs`"
    assert ask(runs) == [("0042", 0, 0, "DONE")]
    assert ask(f"select count(*) from `{table}`") == [(0,)]
