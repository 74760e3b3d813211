"""Which runs and files are seen, wherever they lie; and that a query gets nowhere else."""

import gc
import json
import pathlib
import shutil
import tempfile

import duckdb
import fsspec
import pytest

from imgcls_beam.errors import ConfigError
from imgcls_beam.warehouse.querying import open_runs
from imgcls_beam.warehouse.views import VIEWS, render_duckdb
from tests.gallery import (
    FIRST,
    FIRST_SAYS,
    OTHER,
    SECOND,
    Open,
    ask,
    hang_gallery,
    make_outcomes,
    make_run,
    make_small,
    make_uri,
    open_views,
    write_run,
)

pytestmark = pytest.mark.slow

RELATIONS = {"predictions", "prediction_runs", *VIEWS}
BOTH = pytest.mark.parametrize("open_output", [open_runs, open_views], ids=["asked", "printed"])


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> str:
    output = str(tmp_path_factory.mktemp("gallery"))
    hang_gallery(output)
    return output


@BOTH
def test_files_that_no_record_names_are_not_seen(gallery: str, open_output: Open) -> None:
    files = list(pathlib.Path(gallery).glob("predictions/**/*.parquet"))
    assert len(files) == 5
    connection = open_output(gallery)
    counted = "SELECT run_id, count(*) FROM predictions GROUP BY ALL ORDER BY ALL"
    assert ask(connection, counted) == [(OTHER, 6), (FIRST, 8), (SECOND, 10)]
    assert ask(connection, "SELECT run_id FROM prediction_runs ORDER BY ALL") == [
        *(OTHER, FIRST, SECOND)
    ]


@BOTH
def test_a_run_that_did_not_add_up_is_not_seen(tmp_path: pathlib.Path, open_output: Open) -> None:
    output = make_small(tmp_path)
    record = json.loads((tmp_path / "runs" / f"{FIRST}.json").read_text())
    failed = tmp_path / "runs" / "failed"
    failed.mkdir()
    (failed / "x-1.json").write_text(json.dumps(record | {"state": "FAILED", "run_id": "x"}))
    assert ask(open_output(output), "SELECT run_id FROM prediction_runs") == [FIRST]
    (tmp_path / "runs" / f"{FIRST}.json").write_text(json.dumps(record | {"state": "FAILED"}))
    write_run(output, run := make_run("good", 22), make_outcomes({1: FIRST_SAYS[1]}, run))
    assert ask(open_output(output), "SELECT DISTINCT run_id FROM predictions") == ["good"]
    assert ask(open_output(output), "SELECT run_id FROM predictions_latest") == ["good"]


@BOTH
def test_a_replaced_run_shows_its_new_rows_only(tmp_path: pathlib.Path, open_output: Open) -> None:
    output = make_small(tmp_path)
    before = list(tmp_path.glob("predictions/**/*.parquet"))
    kept = shutil.copy(before[0], tmp_path / "kept")
    run = make_run(FIRST, 21)
    write_run(output, run, make_outcomes({3: FIRST_SAYS[3]}, run), "replace")
    if not before[0].exists():  # as if the old file had not been cleared yet
        shutil.copy(kept, before[0])
    assert len(list(tmp_path.glob("predictions/**/*.parquet"))) == 2
    assert ask(open_output(output), "SELECT image_uri FROM predictions") == [make_uri(3)]


@BOTH
@pytest.mark.parametrize("name", ["it's", "a [b] *?", "key=value"])
def test_the_folder_may_have_any_name(
    tmp_path: pathlib.Path, open_output: Open, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for output in (name, f"./{name}/", str(tmp_path / name)):
        connection = open_output(output)
        assert ask(connection, "SELECT count(*) FROM predictions") == [2]
        assert ask(connection, "SELECT DISTINCT run_id FROM predictions_current") == [FIRST]


@pytest.mark.parametrize("output", ["memory://bucket/labels", "memory://bucket/labels/"])
def test_runs_in_a_bucket_are_read_by_both(output: str) -> None:
    run = make_run(FIRST, 21)
    write_run(output, run, make_outcomes(FIRST_SAYS, run), "replace")
    assert ask(open_runs(output), "SELECT count(*) FROM predictions_latest") == [6]
    connection = duckdb.connect()
    # With more threads DuckDB 2.0 sees no rows through a file system of Python now and then.
    connection.execute("SET threads = 1")
    connection.register_filesystem(fsspec.filesystem("memory"))  # as httpfs does for buckets
    connection.execute(render_duckdb(output))
    assert ask(connection, "SELECT count(*) FROM predictions_latest") == [6]


def test_a_run_without_images_is_a_run(tmp_path: pathlib.Path) -> None:
    write_run(str(tmp_path), make_run("empty", 21), [])
    connection = open_runs(str(tmp_path))
    assert ask(connection, "SELECT run_id, listed FROM prediction_runs") == [("empty", 0)]
    for relation in RELATIONS - {"prediction_runs"}:
        assert ask(connection, f"SELECT count(*) FROM {relation}") == [0]


@pytest.mark.parametrize("place", ["nothing", "a folder", "a record that is none"])
def test_without_a_finished_run_there_is_nothing_to_ask(tmp_path: pathlib.Path, place: str) -> None:
    if place != "nothing":
        (tmp_path / "out" / "runs").mkdir(parents=True)
    if place == "a record that is none":
        (tmp_path / "out" / "runs" / "r1.json").write_text('{"state": "DONE"')
    with pytest.raises(ConfigError, match="no finished run"):
        open_runs(str(tmp_path / "out"))


def test_what_does_not_fit_into_memory_goes_to_a_folder_of_its_own_that_goes_too(
    gallery: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    connections = [open_runs(gallery), open_runs(gallery)]
    places = [
        pathlib.Path(place)
        for each in connections
        for place in ask(each, "SELECT current_setting('temp_directory')")
    ]
    assert sorted(places) == sorted(tmp_path.iterdir())
    assert [place.stat().st_mode & 0o777 for place in places] == [0o700, 0o700]
    (places[0] / "spilled.tmp").write_text("what a killed query left")
    connections.clear()
    gc.collect()
    assert list(tmp_path.iterdir()) == []


OUTSIDE = [
    "COPY (SELECT 1) TO '{folder}/evil.csv'",
    "WITH x AS (COPY (SELECT 1) TO '{folder}/evil.csv') SELECT * FROM x",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/evil.csv'",
    "EXPORT DATABASE '{folder}/evil'",
    "ATTACH '{folder}/evil.db'",
    "SELECT * FROM read_text('{folder}/secret.txt')",
    "SELECT * FROM read_csv('{folder}/secret.txt')",
    "SELECT * FROM '{folder}/secret.csv'",
    "SELECT * FROM glob('{folder}/*')",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "INSTALL httpfs",
    "SELECT * FROM records",  # a variable of the code that made the connection
]


@pytest.mark.parametrize("query", OUTSIDE)
def test_a_query_reads_and_writes_nothing_outside(
    tmp_path: pathlib.Path, gallery: str, query: str
) -> None:
    (tmp_path / "secret.txt").write_text("secret\n")
    (tmp_path / "secret.csv").write_text("secret\n1\n")
    with pytest.raises(duckdb.Error):
        ask(open_runs(gallery), query.format(folder=tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.csv", "secret.txt"]
