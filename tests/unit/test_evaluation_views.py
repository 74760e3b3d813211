"""Views over a carried truth: alike in both dialects, and as `imgcls evaluate` says."""

import pathlib
import re
from typing import Any

import pytest
import sqlglot

from imgcls_beam.analysis import RunPlace, open_run
from imgcls_beam.analysis.evaluating import Evaluation
from imgcls_beam.analysis.judged_runs import TruthOptions, judge_run
from imgcls_beam.errors import ConfigError
from imgcls_beam.warehouse.evaluation_views import (
    EVALUATION_VIEWS,
    render_evaluation_bigquery,
    render_evaluation_duckdb,
)
from imgcls_beam.warehouse.querying import open_runs
from imgcls_beam.warehouse.views import render_duckdb
from tests.gallery import ask
from tests.truths import TRUTH, publish_truths

CLOSE = {"rel": 0.0, "abs": 1e-9}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("truths"))
    publish_truths(folder)
    return folder


@pytest.fixture(scope="module")
def judged(output: str) -> Evaluation:
    return judge_run(open_run(RunPlace(output)), TruthOptions(TRUTH)).evaluation


def select(output: str, query: str) -> list[Any]:
    return ask(open_runs(output, TRUTH), query)


def test_a_runs_accuracy_is_that_of_evaluate(output: str, judged: Evaluation) -> None:
    query = "SELECT images, accuracy, top_5_accuracy FROM evaluation_runs"
    ((images, accuracy, top_5),) = select(output, query)
    assert images == judged.judged
    assert accuracy == pytest.approx(judged.accuracy, **CLOSE)
    assert top_5 == pytest.approx(judged.top_accuracies[-1], **CLOSE)


def test_labels_have_the_numbers_of_evaluate(output: str, judged: Evaluation) -> None:
    query = (
        "SELECT label, images, predicted, label_precision, label_recall, f1 "
        "FROM evaluation_labels ORDER BY label"
    )
    found = select(output, query)
    assert [row[:3] for row in found] == [(e.label, e.images, e.predicted) for e in judged.labels]
    for row, each in zip(found, judged.labels, strict=True):
        assert row[3:] == pytest.approx((each.precision, each.recall, each.f1), **CLOSE)


def test_cells_and_bins_are_those_of_evaluate(output: str, judged: Evaluation) -> None:
    query = "SELECT truth, top_label, images FROM evaluation_confusion"
    cells = {(each.truth, each.predicted, each.images) for each in judged.confusions}
    assert {*select(output, query)} == cells
    query = "SELECT images, mean_score, accuracy FROM evaluation_calibration ORDER BY bin"
    found = select(output, query)
    assert judged.calibration is not None
    assert len(found) == len(judged.calibration.bins) > 3
    for row, each in zip(found, judged.calibration.bins, strict=True):
        assert row == pytest.approx((each.images, each.score, each.accuracy), **CLOSE)


def test_rows_without_a_plain_truth_and_failures_are_not_there(output: str) -> None:
    query = "SELECT count(*), count(truth_rank) FROM evaluation_rows WHERE image_uri LIKE '%odd%'"
    assert select(output, query) == [(0, 0)]
    query = "SELECT truth_rank, count(*) FROM evaluation_rows GROUP BY ALL ORDER BY ALL"
    assert len(select(output, query)) == 4  # ranks 1, 2, 3, and not among them


def test_the_printed_views_say_the_same(output: str) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute(render_duckdb(output))
    connection.execute(render_evaluation_duckdb(TRUTH))
    for view in EVALUATION_VIEWS:
        rows = f"FROM {view} ORDER BY ALL"
        assert ask(connection, rows) == select(output, rows)


def read_views(text: str, dialect: str) -> dict[str, sqlglot.exp.Query]:
    created = [each for each in sqlglot.parse(text, dialect=dialect) if each is not None]
    return {each.this.name: each.expression for each in created}


def test_both_dialects_have_the_same_views_and_columns() -> None:
    in_duckdb = read_views(render_evaluation_duckdb("it's"), "duckdb")
    in_bigquery = read_views(render_evaluation_bigquery("it's", "p.d"), "bigquery")
    assert list(in_duckdb) == list(in_bigquery) == list(EVALUATION_VIEWS)
    for view in EVALUATION_VIEWS:
        assert in_duckdb[view].named_selects == in_bigquery[view].named_selects


def test_views_beside_another_table_are_called_after_it_and_meet_no_other() -> None:
    text = render_evaluation_bigquery("label", "project.data", "shop")
    created = re.findall(r"CREATE OR REPLACE VIEW `project\.data\.(\w+)`", text)
    assert created == [f"shop_{name}" for name in EVALUATION_VIEWS]
    assert "`project.data.shop_runs`" in text
    assert "`project.data.shop`" in text


@pytest.mark.parametrize("column", ["it's", "a b", "ß 猫", "a.b", "$", "{x}", "[0]", "--"])
def test_a_column_of_any_name_is_found(tmp_path: pathlib.Path, column: str) -> None:
    publish_truths(str(tmp_path), column)
    (images,) = ask(open_runs(str(tmp_path), column), "SELECT images FROM evaluation_runs")
    assert images > 0


@pytest.mark.parametrize("column", ['a"b', "a\\b", "a\nb", "a*", ""])
def test_a_name_that_no_path_can_have_is_refused(column: str) -> None:
    for render in (render_evaluation_duckdb, render_evaluation_bigquery):
        with pytest.raises(ConfigError, match="truth_column"):
            render(column)
