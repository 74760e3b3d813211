"""A run of a table reads as the run of the folder from which it was loaded."""

import dataclasses
import pathlib

import pytest

from imgcls_beam.analysis import RunPlace, list_runs, open_run
from imgcls_beam.bigquery import TableName
from imgcls_beam.errors import ConfigError, RowsGoneError
from imgcls_beam.rows import SCHEMA
from imgcls_beam.warehouse import load_run
from pipelines.__main__ import main
from tests.bigquery import make_client
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


def delete(table: TableName, where: str) -> None:
    """What the service does to a partition that expires; the emulator has no such clock."""
    make_client().query(f"DELETE FROM `{table}` WHERE {where}").result()


def test_rows_that_are_gone_are_said_and_not_taken_for_a_run_without_images(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    load_run(table, str(tmp_path), publish_run(str(tmp_path), [8, 3]))
    place, other = RunPlace(table=str(table)), "owner/other@000000000000"
    assert read(place, status="skipped") == read(place, model_key=other) == []
    delete(table, "status = 'error'")
    assert len(read(place, status="ok")) == 8
    assert read(place, status="skipped") == []
    for asked in ({}, {"status": "error"}, {"model_key": SCORING.model.key}, {"model_key": other}):
        with pytest.raises(RowsGoneError, match="it has 8 of the 11 rows of run r1; probably"):
            read(place, **asked)
    delete(table, "TRUE")
    said = rf"{table}'.* 0 of the 11 rows of run r1; .*{RUN.run_date} has expired"
    with pytest.raises(RowsGoneError, match=said):
        read(place)
    make_client().delete_table(str(table))
    with pytest.raises(RowsGoneError, match=said):
        read(place)


def test_a_run_of_no_image_has_lost_no_row(table: TableName, tmp_path: pathlib.Path) -> None:
    load_run(table, str(tmp_path), publish_run(str(tmp_path), []))
    assert read(RunPlace(table=str(table))) == []


def test_a_report_goes_on_without_an_earlier_run_that_is_gone_and_says_why(
    table: TableName, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    for run_id in ("r0", "r1"):
        run = dataclasses.replace(RUN, run_id=run_id)
        load_run(table, str(tmp_path), publish_run(str(tmp_path), [5], run=run))
    delete(table, "run_id = 'r0'")
    page = tmp_path / "r1.html"
    flags = [f"--output_table={table}", f"--to={page}"]
    said = "0 of the 5 rows of run r0; probably its partition"
    for more in ([], ["--with=r0"]):
        caplog.clear()
        page.unlink(missing_ok=True)
        assert main(["report", *flags, "--run_id=r1", *more]) == 0
        assert said in page.read_text()
        assert [said in each.getMessage() for each in caplog.records] == [True]


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "--truth_column=label"],
        ["compare", "--with=r0"],
        ["review", "--budget=3", "--csv=review.csv"],
        ["report", "--to=report.html"],
    ],
    ids=lambda words: words[0],
)
def test_every_program_that_asks_a_run_that_is_gone_says_so(
    table: TableName,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for run_id in ("r0", "r1"):
        run = dataclasses.replace(RUN, run_id=run_id)
        load_run(table, str(tmp_path), publish_run(str(tmp_path), [5], run=run))
    delete(table, "run_id = 'r1'")
    assert main([command[0], f"--output_table={table}", "--run_id=r1", *command[1:]]) == 2
    told = capsys.readouterr().err
    assert "0 of the 5 rows of run r1" in told
    assert told.count("\n") == 1
