"""Views over a carried truth: alike in both dialects, and as `imgcls evaluate` says."""

import json
import pathlib
import re
from typing import Any

import pytest
import sqlglot

from imgcls_beam.analysis import RunPlace, open_run
from imgcls_beam.analysis.evaluating import Evaluation
from imgcls_beam.analysis.judged_runs import judge_run
from imgcls_beam.analysis.truths import TruthOptions
from imgcls_beam.errors import ConfigError
from imgcls_beam.warehouse.evaluation_views import (
    EVALUATION_VIEWS,
    render_evaluation_bigquery,
    render_evaluation_duckdb,
)
from imgcls_beam.warehouse.querying import open_runs
from imgcls_beam.warehouse.views import render_duckdb
from tests.gallery import ask
from tests.truths import FUNCTIONS, PADDED, TRUTH, publish_hard_truths, publish_truths

CLOSE = {"rel": 0.0, "abs": 1e-9}


RUN_IDS = ("r1", *FUNCTIONS)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("truths"))
    publish_truths(folder)
    publish_hard_truths(folder)
    return folder


def judge(output: str, run_id: str) -> Evaluation:
    return judge_run(open_run(RunPlace(output), run_id), TruthOptions(TRUTH)).evaluation


def select(output: str, query: str) -> list[Any]:
    return ask(open_runs(output, TRUTH), query)


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_a_runs_accuracy_is_that_of_evaluate(output: str, run_id: str) -> None:
    judged = judge(output, run_id)
    query = "SELECT images, accuracy, top_5_accuracy FROM evaluation_runs"
    ((images, accuracy, top_5),) = select(output, f"{query} WHERE run_id = '{run_id}'")
    assert images == judged.judged
    assert accuracy == pytest.approx(judged.accuracy, **CLOSE)
    assert top_5 == pytest.approx(judged.top_accuracies[-1], **CLOSE)


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_labels_have_the_numbers_of_evaluate(output: str, run_id: str) -> None:
    judged = judge(output, run_id)
    query = (
        "SELECT label, images, predicted, label_precision, label_recall, f1 "
        f"FROM evaluation_labels WHERE run_id = '{run_id}' ORDER BY label"
    )
    found = select(output, query)
    assert [row[:3] for row in found] == [(e.label, e.images, e.predicted) for e in judged.labels]
    for row, each in zip(found, judged.labels, strict=True):
        assert row[3:] == pytest.approx((each.precision, each.recall, each.f1), **CLOSE)


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_cells_are_those_of_evaluate(output: str, run_id: str) -> None:
    query = "SELECT truth, top_label, images FROM evaluation_confusion"
    found = select(output, f"{query} WHERE run_id = '{run_id}'")
    cells = judge(output, run_id).confusions
    assert {*found} == {(each.truth, each.predicted, each.images) for each in cells}
    assert len(found) == len(cells)


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_bins_are_those_of_evaluate_and_none_are_of_raw_scores(output: str, run_id: str) -> None:
    judged = judge(output, run_id)
    query = "SELECT images, mean_score, accuracy FROM evaluation_calibration"
    found = select(output, f"{query} WHERE run_id = '{run_id}' ORDER BY bin")
    assert (judged.calibration is None) == (run_id in ("raw", "mixed"))
    bins = judged.calibration.bins if judged.calibration else ()
    assert len(found) == len(bins)
    for row, each in zip(found, bins, strict=True):
        assert row == pytest.approx((each.images, each.score, each.accuracy), **CLOSE)


def test_a_truth_is_the_same_text_or_else_what_is_alike_but_for_blanks(output: str) -> None:
    truths = "json_extract(p.attributes, '$.label')"
    query = (
        f"SELECT DISTINCT {truths} AS given, e.truth FROM evaluation_rows AS e "
        "JOIN predictions AS p USING (image_uri) WHERE e.run_id = 'padded'"
    )
    found = {json.dumps(json.loads(given)): truth for given, truth in select(output, query)}
    exact = {json.dumps(label): label for label in PADDED}
    assert found == exact | {
        '"  cat"': "cat",
        '["cat"]': "cat",
        '"fox"': "\tfox\u2003",
        '"\\u3000dog\\u001f\\u0085"': "dog ",
        '"owl"': " owl",
        '" nobody"': "nobody",
        '"nobody"': "nobody",
    }


def test_rows_without_a_plain_truth_and_failures_are_not_there(output: str) -> None:
    query = "SELECT count(*), count(truth_rank) FROM evaluation_rows WHERE image_uri LIKE '%odd%'"
    assert select(output, query) == [(0, 0)]
    query = (
        "SELECT truth_rank, count(*) FROM evaluation_rows WHERE run_id = 'r1' "
        "GROUP BY ALL ORDER BY ALL"
    )
    assert len(select(output, query)) == 4  # ranks 1, 2, 3, and not among them


def test_the_printed_views_say_the_same(output: str) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute(render_duckdb(output))
    connection.execute(render_evaluation_duckdb(TRUTH))
    for view in EVALUATION_VIEWS:
        printed = sorted(map(spell, ask(connection, f"FROM {view}")))
        assert printed == sorted(map(spell, select(output, f"FROM {view}")))


def spell(row: tuple[Any, ...]) -> list[str]:
    """Numbers by nine digits: means depend on the order of the rows."""
    return [f"{each:.9f}" if isinstance(each, float) else str(each) for each in row]


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
