"""`imgcls sql`: what it prints, and how it refuses."""

import io
import json
import pathlib
import subprocess
import sys
from collections.abc import Sequence

import pytest

from imgcls_beam.errors import FailureCode
from imgcls_beam.warehouse.views import render_bigquery, render_duckdb
from pipelines import answers
from pipelines.__main__ import main
from tests.gallery import hang_gallery, make_outcomes, make_run, write_run

BY_LABEL = (
    "SELECT top_label, count(*) AS images, max(top_score) AS best FROM predictions_latest "
    "GROUP BY ALL ORDER BY ALL"
)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> str:
    output = str(tmp_path_factory.mktemp("gallery"))
    hang_gallery(output)
    return output


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["sql", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


TABLE = """\
top_label  images  best
─────────  ──────  ────
cat             9   0.9
dog             4  0.95
fox             2   0.7
"""
CSV = "top_label,images,best\ncat,9,0.9\ndog,4,0.95\nfox,2,0.7\n"
JSON = (
    '{"top_label":"cat","images":9,"best":0.9}\n'
    '{"top_label":"dog","images":4,"best":0.95}\n'
    '{"top_label":"fox","images":2,"best":0.7}\n'
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("flags", "answer"),
    [
        ([], TABLE),
        (["--format=table"], TABLE),
        (["--format", "csv"], CSV),
        (["--format=json"], JSON),
    ],
)
def test_a_query_is_answered_in_the_form_that_was_asked_for(
    gallery: str, flags: list[str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([f"--output={gallery}", BY_LABEL, *flags], capsys) == (0, answer, "")


def test_a_query_may_come_on_standard_input(
    gallery: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"-- labels\n{BY_LABEL};\n"))
    assert run(["--output", gallery, "-", "--format=csv"], capsys) == (0, CSV, "")


VALUES = """
SELECT NULL AS nothing, 1.5 AS price, 'nan'::DOUBLE AS nan, 170141183460469231731687 AS large,
  [1, 2] AS list, {'a': 'x,y', 'b': NULL} AS struct, TIMESTAMPTZ '2026-11-22 02:00:00+00' AS at,
  DATE '2026-11-22' AS day, TRUE AS yes, 'a"b' AS quoted, '\xff'::BLOB AS bytes, 0.1 + 0.2 AS sum
"""
AS_JSON = {
    "nothing": None,
    "price": 1.5,
    "nan": None,
    "large": 170141183460469231731687,
    "list": [1, 2],
    "struct": {"a": "x,y", "b": None},
    "at": "2026-11-22T02:00:00+00:00",
    "day": "2026-11-22",
    "yes": True,
    "quoted": 'a"b',
    "bytes": "c3bf",
    "sum": 0.3,
}


def test_values_of_every_kind_have_a_form_in_json_and_csv(
    gallery: str, capsys: pytest.CaptureFixture[str]
) -> None:
    query = VALUES.replace("'\xff'::BLOB", "encode('\xff')")
    _, text, _ = run([f"--output={gallery}", query, "--format=json"], capsys)
    assert json.loads(text) == AS_JSON
    _, text, _ = run([f"--output={gallery}", query, "--format=csv"], capsys)
    assert text.splitlines()[1] == (
        ',1.5,,170141183460469231731687,"[1,2]","{""a"":""x,y"",""b"":null}",'
        '2026-11-22T02:00:00+00:00,2026-11-22,true,"a""b",c3bf,0.3'
    )


def test_a_table_is_for_people_without_control_characters_and_endless_cells(
    gallery: str, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = "SELECT 'inf'::DOUBLE AS a, 'nan'::DOUBLE AS b, NULL AS c, 1/3 AS d, 1e7 + 0.5 AS e"
    _, text, _ = run([f"--output={gallery}", numbers], capsys)
    assert text.splitlines()[2].split() == ["inf", "nan", "null", "0.333333", "10000000.5"]
    query = "SELECT 'two' || chr(10) || chr(27) || '[2J' AS text, repeat('x', 99) AS long, 'gs://b/"
    _, text, _ = run([f"--output={gallery}", f"{query}{'d/' * 40}1.jpg' AS uri"], capsys)
    head, rule, row = text.splitlines()
    assert row.split() == [r"two\n\x1b[2J", "x" * 59 + "…", "…" + f"{'d/' * 40}1.jpg"[-59:]]
    assert head.split() == ["text", "long", "uri"]
    assert len(rule) == len(row)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_goes_to_a_terminal_cannot_steer_it(gallery: str, form: str) -> None:
    from imgcls_beam.warehouse.querying import open_runs

    for target, shown in ((Terminal(), r"\x9b2J"), (io.StringIO(), "\x9b2J")):
        cursor = open_runs(gallery).execute("SELECT chr(155) || '2J' AS label")
        answers.write_answer(cursor, form, target)
        assert shown in target.getvalue()


def test_a_table_ends_at_some_row_and_says_so(
    gallery: str, capsys: pytest.CaptureFixture[str]
) -> None:
    query = f"SELECT range AS n FROM range({answers.SHOWN_ROWS + 2345})"
    _, text, _ = run([f"--output={gallery}", query], capsys)
    lines = text.splitlines()
    assert len(lines) == 2 + answers.SHOWN_ROWS + 1
    assert lines[-1] == "… and 2,345 more rows; --format=csv writes all of them"
    _, text, _ = run([f"--output={gallery}", query, "--format=csv"], capsys)
    assert len(text.splitlines()) == 1 + answers.SHOWN_ROWS + 2345


def test_an_answer_without_rows_is_its_head(
    gallery: str, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "SELECT image_uri AS uri, rank FROM prediction_labels WHERE rank > 9"
    assert run([f"--output={gallery}", query], capsys) == (0, "uri  rank\n───  ────\n", "")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELEC 1", "Parser Error: syntax error"),
        ("SELECT nothing FROM predictions", 'Referenced column "nothing" not found'),
        ("SELECT * FROM predictons", "Table with name predictons does not exist"),
        ("SELECT 1; SELECT 'x'::INTEGER", "Conversion Error"),
        ("COPY predictions TO 'evil.csv'", "Permission Error"),
        ("SELECT error(chr(27) || 'x')", r"\x1bx"),
    ],
)
def test_a_query_that_fails_is_exit_1_with_the_words_of_duckdb(
    gallery: str, query: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run([f"--output={gallery}", query], capsys)
    assert (code, out) == (1, "")
    assert err.startswith("imgcls sql: ")
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["SELECT 1"], "output=None: give the folder of the rows"),
        (["--output=nowhere", "SELECT 1"], "there is no finished run"),
        (["--output=nowhere", " \n"], "query=' \\n': give a query"),
        (["--output=", "SELECT 1"], "output='': give a text"),
        (["--output=https://host/x", "SELECT 1"], "its scheme is not allowed"),
        (["--output=x", "--format=xml", "SELECT 1"], "format='xml': allowed: table, csv, json"),
        (["--output=x", "--format=csv"], "format='csv': it is for a query's answer"),
        (["--output=x", "SELECT", "1"], "argument='1': sql has no such flag, and one query"),
        (["--outptu=x"], "argument='--outptu=x'"),
        (["--dialect=mysql"], "dialect='mysql': allowed: duckdb, bigquery"),
        (["--dialect=bigquery", "--output=x"], "give --output_table=P.D.T"),
        (["--dialect=duckdb", "--output_table=project.d.t"], "DuckDB reads a folder"),
        (["--output_table=project.d.t", "SELECT 1"], "a query is run over an output folder"),
        (["--output_table=t"], "output_table='t'"),
    ],
)
def test_wrong_usage_is_exit_2_with_a_sentence(
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(arguments, capsys)
    assert (code, out) == (2, "")
    assert err.startswith("imgcls sql: ")
    assert sentence in err


def test_without_duckdb_the_message_says_how_to_install_it(
    gallery: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    code, _, err = run([f"--output={gallery}", "SELECT 1"], capsys)
    assert code == 2
    assert "pip install duckdb" in err
    assert run([], capsys) == (0, render_duckdb(), "")


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], render_duckdb()),
        (["--dialect=duckdb", "--output=/it's/out"], render_duckdb("/it's/out")),
        (["--dialect=bigquery"], render_bigquery()),
        (["--output_table=project.d.predictions"], render_bigquery("project.d")),
        (["--output-table=project.d.shop"], render_bigquery("project.d", "shop")),
    ],
)
def test_without_a_query_the_views_are_printed(
    arguments: list[str], printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments, capsys) == (0, printed, "")


def test_a_file_that_went_meanwhile_is_named(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = make_run("r1", 21)
    write_run(str(tmp_path), context, make_outcomes({0: FailureCode.EMPTY}, context))
    (file,) = tmp_path.glob("predictions/**/*.parquet")
    file.unlink()
    code, _, err = run([f"--output={tmp_path}", "SELECT max(image_uri) FROM predictions"], capsys)
    assert code == 1
    assert file.name in err


@pytest.mark.slow
def test_a_reader_who_stops_early_gets_no_traceback(gallery: str) -> None:
    query = "SELECT range FROM range(1000000)"
    command = [sys.executable, "-m", "pipelines", "sql", f"--output={gallery}", "--format=csv"]
    root = pathlib.Path(__file__).parents[2]
    with subprocess.Popen(
        [*command, query], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline() == b"range\n"
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 0


def test_printed_views_hold_for_who_stands_elsewhere(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("out", "./out/", "gs://bucket/out"):
        assert main(["sql", f"--output={place}"]) == 0
        expected = place if "://" in place else str(tmp_path / "out")
        assert f"{expected}/runs/" in capsys.readouterr().out
