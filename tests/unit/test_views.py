"""The views: the same in both dialects, and what they show and do not show."""

import json
import pathlib
import re
from collections.abc import Callable

import pytest
import sqlglot

from imgcls_beam.errors import FailureCode
from imgcls_beam.library_versions import find_versions
from imgcls_beam.warehouse.columns import PREDICTIONS, RUNS
from imgcls_beam.warehouse.querying import open_runs
from imgcls_beam.warehouse.views import (
    VIEWS,
    render_bigquery,
    render_duckdb,
)
from tests.gallery import (
    FIRST,
    FIRST_SAYS,
    KEY_A,
    KEY_B,
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

ROOT = pathlib.Path(__file__).parents[2]


def read_views(text: str, dialect: str) -> dict[str, sqlglot.exp.Query]:
    """The queries of views by their names, in the order of the text."""
    created = [each for each in sqlglot.parse(text, dialect=dialect) if each is not None]
    return {each.this.name: each.expression for each in created}


IN_DUCKDB = read_views(render_duckdb(), "duckdb")
IN_BIGQUERY = read_views(render_bigquery("p.d"), "bigquery")
COLUMNS = {
    "predictions": [column.name for column in PREDICTIONS],
    "prediction_runs": [column.name for column in RUNS],
    **{name: query.named_selects for name, query in IN_BIGQUERY.items()},
}

BOTH = pytest.mark.parametrize("open_output", [open_runs, open_views], ids=["asked", "printed"])


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> str:
    output = str(tmp_path_factory.mktemp("gallery"))
    hang_gallery(output)
    return output


@pytest.mark.parametrize(
    ("name", "render"),
    [("views.duckdb.sql", render_duckdb), ("views.bigquery.sql", render_bigquery)],
)
def test_the_published_views_are_those_of_the_code(name: str, render: Callable[[], str]) -> None:
    published = (ROOT / "schemas" / name).read_text(encoding="utf-8")
    assert published == render(), "run `python -m schemas`"


def test_both_dialects_have_the_same_views() -> None:
    assert list(IN_DUCKDB) == ["prediction_runs", "predictions", *VIEWS]
    assert list(IN_BIGQUERY) == list(VIEWS)


@pytest.mark.parametrize("view", VIEWS)
def test_both_dialects_select_the_same_columns(view: str) -> None:
    duckdb_wanted, bigquery_wanted = IN_DUCKDB[view].selects, IN_BIGQUERY[view].selects
    assert [each.sql() for each in duckdb_wanted] == [each.sql() for each in bigquery_wanted]


@BOTH
def test_every_relation_has_its_columns_and_both_ways_give_the_same_types(
    gallery: str, open_output: Open
) -> None:
    connection, other = open_output(gallery), open_views(gallery)
    for relation, columns in COLUMNS.items():
        found = ask(connection, f"SELECT column_name, column_type FROM (DESCRIBE {relation})")
        assert [name for name, _ in found] == columns
        assert found == ask(other, f"SELECT column_name, column_type FROM (DESCRIBE {relation})")
        rows = f"FROM {relation} ORDER BY ALL"
        assert ask(connection, rows) == ask(other, rows)


def test_views_beside_another_table_are_called_after_it() -> None:
    text = render_bigquery("project.data", "shop")
    created = re.findall(r"CREATE OR REPLACE VIEW `project\.data\.(\w+)`", text)
    assert created == ["shop_latest", "shop_current", "shop_labels", "shop_errors", "shop_compare"]
    assert "`project.data.shop_runs`" in text
    assert "predictions`" not in text


@BOTH
def test_latest_has_the_last_good_row_of_an_image_and_a_model_in_the_last_run(
    gallery: str, open_output: Open
) -> None:
    rows = ask(
        open_output(gallery),
        "SELECT regexp_extract(image_uri, '[0-9]+'), predicted_run_id, top_label, run_id, status "
        "FROM predictions_latest "
        f"WHERE model_key = '{KEY_A}' ORDER BY ALL",
    )
    assert {row[3:] for row in rows} == {(SECOND, "ok")}
    assert [row[:3] for row in rows] == [
        *(("0", FIRST, "cat"), ("1", FIRST, "cat")),  # skipped in the second night
        *(("2", SECOND, "cat"), ("3", SECOND, "dog"), ("4", SECOND, "fox"), ("5", SECOND, "cat")),
        *(("6", SECOND, "dog"), ("8", SECOND, "cat"), ("9", SECOND, "fox")),
    ]


@BOTH
def test_current_is_the_last_attempt_good_or_not(gallery: str, open_output: Open) -> None:
    rows = ask(
        open_output(gallery),
        "SELECT regexp_extract(image_uri, '[0-9]+'), run_id, status FROM predictions_current "
        f"WHERE model_key = '{KEY_A}' ORDER BY ALL",
    )
    assert [row for row in rows if row[0] in "0167"] == [
        *(("0", FIRST, "ok"), ("1", FIRST, "ok")),
        *(("6", SECOND, "ok"), ("7", SECOND, "error")),
    ]
    assert len(rows) == 10


def test_an_attempt_that_fails_later_leaves_the_good_row_the_latest(tmp_path: pathlib.Path) -> None:
    output = make_small(tmp_path)
    run = make_run("again", 22)
    write_run(output, run, make_outcomes({0: FailureCode.UNAVAILABLE}, run))
    query = "SELECT {} FROM {} WHERE image_uri = 'gs://shop/0.jpg'"
    connection = open_runs(output)
    latest = query.format("run_id, predicted_run_id, status", "predictions_latest")
    assert ask(connection, latest) == [("again", FIRST, "ok")]
    current = query.format("run_id, status", "predictions_current")
    assert ask(connection, current) == [("again", "error")]


def test_of_two_rows_of_one_time_the_greater_run_id_is_the_last(tmp_path: pathlib.Path) -> None:
    for run_id in ("b", "c", "a"):
        run = make_run(run_id, 21)
        write_run(str(tmp_path), run, make_outcomes({0: FIRST_SAYS[0]}, run))
    connection = open_runs(str(tmp_path))
    assert ask(connection, "SELECT run_id FROM predictions_latest") == ["c"]
    assert ask(connection, "SELECT run_id FROM predictions_current") == ["c"]


@BOTH
def test_labels_are_ranked_from_one_and_errors_have_their_reasons(
    gallery: str, open_output: Open
) -> None:
    connection = open_output(gallery)
    labels = "SELECT rank, label, score, function_to_apply, top_k FROM prediction_labels "
    assert ask(connection, f"{labels} WHERE run_id = '{FIRST}' AND image_uri LIKE '%/2.jpg'") == [
        (1, "dog", 0.55, "softmax", 2),
        (2, "cat", 0.44, "softmax", 2),
    ]
    assert ask(connection, "SELECT count(*) FROM prediction_labels") == [2 * (6 + 7 + 6)]
    errors = "SELECT run_id, image_uri, stage, code, attempts FROM prediction_errors ORDER BY ALL"
    assert ask(connection, errors) == [
        (FIRST, make_uri(6), "read", "not_found", 1),
        (FIRST, make_uri(7), "prepare", "truncated", 1),
        (SECOND, make_uri(7), "prepare", "truncated", 1),
    ]


@BOTH
def test_models_are_compared_once_over_the_images_that_both_have(
    gallery: str, open_output: Open
) -> None:
    rows = ask(
        open_output(gallery),
        "SELECT model_a, model_b, regexp_extract(image_uri, '[0-9]+'), top_label_a, top_label_b, "
        "agrees, same_content FROM model_compare ORDER BY ALL",
    )
    assert [row[2] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert {row[:2] for row in rows} == {(KEY_B, KEY_A)}
    assert [row[3:] for row in rows if not row[5]] == [
        ("dog", "cat", False, True),
        ("cat", "fox", False, True),
    ]


@BOTH
@pytest.mark.parametrize("run_id", ["42", "007", "2026-11-22"])
def test_a_run_id_of_digits_stays_text(
    tmp_path: pathlib.Path, open_output: Open, run_id: str
) -> None:
    run = make_run(run_id, 21)
    write_run(str(tmp_path), run, make_outcomes({0: FIRST_SAYS[0]}, run))
    connection = open_output(str(tmp_path))
    for relation in COLUMNS.keys() - {"prediction_errors", "model_compare"}:
        assert ask(connection, f"SELECT DISTINCT run_id FROM {relation}") == [run_id]


HOSTILE = ['it\'s "quoted"', "two\nlines", "=HYPERLINK(1)", "`; DROP", "{item}", "ß\u202e", ""]


@BOTH
def test_labels_come_through_letter_by_letter(tmp_path: pathlib.Path, open_output: Open) -> None:
    output = make_small(tmp_path, {0: [(label, 0.1) for label in HOSTILE]})
    connection = open_output(output)
    assert ask(connection, "SELECT label FROM prediction_labels ORDER BY rank") == HOSTILE
    assert ask(connection, "SELECT top_label FROM predictions_latest") == [HOSTILE[0]]


def test_the_runs_table_is_the_record(gallery: str) -> None:
    connection = open_runs(gallery)
    (row,) = connection.execute(
        "SELECT listed, ok, error, skipped, labels, errors, parameters, publications[1].how, "
        f"len(files), library_versions FROM prediction_runs WHERE run_id = '{SECOND}'"
    ).fetchall()
    counts, (labels, errors, parameters, how, files, versions) = row[:4], row[4:]
    assert counts == (10, 7, 1, 2)
    assert labels == [
        {"label": label, "count": n} for label, n in (("cat", 3), ("dog", 2), ("fox", 2))
    ]
    assert errors == [{"stage": "prepare", "code": "truncated", "count": 1}]
    assert parameters == {"top_k": 2, "function_to_apply": None}
    assert (how, files, json.loads(versions)) == ("new", 1, find_versions())


@pytest.mark.parametrize("weights", [{}, {"weights": "model.safetensors"}])
@pytest.mark.parametrize("kind", ["several models", "before there was a list of models"])
def test_both_ways_name_the_models_of_a_run_alike(
    tmp_path: pathlib.Path, kind: str, weights: dict[str, str]
) -> None:
    output = make_small(tmp_path)
    path = tmp_path / "runs" / f"{FIRST}.json"
    record = json.loads(path.read_text())
    record["model"] |= weights
    model = record.pop("models")[0] | weights
    if kind == "several models":
        other = model | {
            "id": "owner/other",
            "revision": "0" * 40,
            "key": "owner/other@000000000000",
        }
        record |= {"models": [model, other], "model": None, "parameters": None}
    path.write_text(json.dumps(record))
    query = "SELECT COLUMNS('model_.*'), parameters FROM prediction_runs"
    found = ask(open_runs(output), query)
    assert found == ask(open_views(output), query)
    ((names, *_),) = found
    assert names.endswith(", owner/other") == (kind == "several models")
