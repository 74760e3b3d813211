"""Run ids that look like numbers or days, below folders that look like keys: each way to read."""

import datetime
import pathlib
import re
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from imgcls_beam.warehouse.views import render_duckdb
from tests.gallery import FIRST_SAYS, make_outcomes, make_run, write_run

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "sql.md"

BLOCKS = dict(
    re.findall(r"<!-- test: (\w+) -->\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
)
RUN_IDS = ("0042", "7", "1e5", "2026-11-20", "true")
FOLDERS = ("plain", "model=vit", "run_date=2020-01-01", "run_id=7/model=a b", "x=1/files=2/state=3")
KEY = "google/vit-base-patch16-224@3f49326eb077"
DAY = datetime.date(2026, 11, 21)


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder that has the output `out`."""
    found: pathlib.Path = tmp_path_factory.mktemp("below") / request.param
    for run_id in RUN_IDS:
        run = make_run(run_id, DAY.day)
        write_run(str(found / "out"), run, make_outcomes({0: FIRST_SAYS[0]}, run))
    return str(found)


def list_keys(rows: Any) -> set[tuple[Any, ...]]:
    """Day, model and run of what one of the libraries gives."""
    if isinstance(rows, pd.DataFrame):
        rows = rows[["run_date", "model", "run_id"]].to_dict("records")
    elif isinstance(rows, pl.DataFrame):
        rows = rows.to_dicts()
    elif isinstance(rows, duckdb.DuckDBPyRelation):
        rows = rows.to_arrow_table().to_pylist()
    else:
        rows = rows.to_pylist()
    return {(row["run_date"], row["model"], row["run_id"]) for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("library", BLOCKS)
def test_each_way_of_the_page_keeps_the_text_of_run_ids(
    folder: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code = BLOCKS[library]
    if library != "duckdb":  # of which the page says that it does not
        code = code.replace('"out/', f'"{folder}/out/')
    known: dict[str, Any] = {}
    exec(code, known)
    found = list_keys(known["rows"])
    assert {(day, run_id) for day, _, run_id in found} == {(DAY, each) for each in RUN_IDS}
    (model,) = {model for _, model, _ in found}
    assert re.fullmatch(r"google.+vit-base-patch16-224@3f49326eb077", model)


def test_the_page_shows_all_four() -> None:
    assert sorted(BLOCKS) == ["duckdb", "pandas", "polars", "pyarrow"]


@pytest.mark.slow
def test_the_printed_views_read_the_output_and_no_folder_above_it(folder: str) -> None:
    connection = duckdb.connect()
    connection.execute(render_duckdb(f"{folder}/out"))
    query = "SELECT run_id, run_date, model_key FROM predictions"
    found = set(connection.execute(query).fetchall())
    assert found == {(run_id, DAY, KEY) for run_id in RUN_IDS}
    query = "SELECT run_id, run_date, model_key FROM prediction_runs"
    assert set(connection.execute(query).fetchall()) == found
    types = "SELECT typeof(run_id), typeof(run_date) FROM {} LIMIT 1"
    for relation in ("predictions", "prediction_runs", "predictions_latest", "predictions_current"):
        assert connection.execute(types.format(relation)).fetchone() == ("VARCHAR", "DATE")


def _count_scanned(connection: duckdb.DuckDBPyConnection, condition: str) -> str:
    plan = connection.execute(f"EXPLAIN ANALYZE SELECT * FROM predictions WHERE {condition}")
    text = str(plan.fetchone())
    (found,) = re.findall(r"Total Files Read: (\d+)|Scanning Files: (\d+)/", text)[:1]
    return next(filter(None, found))


@pytest.mark.slow
def test_a_condition_on_a_run_reads_only_its_files(folder: str) -> None:
    connection = duckdb.connect()
    connection.execute(render_duckdb(f"{folder}/out"))
    assert _count_scanned(connection, "run_id = '0042'") == "1"


@pytest.mark.slow
def test_rows_of_before_have_no_columns_that_came_later(tmp_path: pathlib.Path) -> None:
    """Old files alone, and beside new ones."""
    for run_id in ("old", "new"):
        run = make_run(run_id, DAY.day)
        write_run(str(tmp_path), run, make_outcomes({0: FIRST_SAYS[0]}, run))
        if run_id == "old":
            (path,) = tmp_path.glob("predictions/*/*/*/*.parquet")
            table = ds.dataset(path).to_table().drop_columns(["shared_with", "duplicates"])
            pq.write_table(table, path)
        connection = duckdb.connect()
        connection.execute(render_duckdb(str(tmp_path)))
        query = "SELECT run_id, duplicates, typeof(duplicates) FROM predictions ORDER BY 1"
        rows = connection.execute(query).fetchall()
        assert rows[-1] == ("old", None, "INTEGER")
