"""Labels and names of images are other people's text, in everything that is written and shown."""

import csv
import html.parser
import json
import pathlib
import shutil
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.__main__ import main
from tests.models import make_model
from tests.scenes import draw_photo, encode

HOSTILE = {
    "markup": '<script>alert("1")</script>',
    "attribute": '" onerror="alert(2)',
    "template": "</script><img src=x>{{7*7}}",
    "formula": '=HYPERLINK("http://evil.example","a")',
    "other formulas": "@SUM(1)|cmd",
    "plus": "+1-1",
    "escape": "\x1b[2J\x1b]0;owned\x07red",
    "control": "\x9b31m and \x00 nothing",
    "bidi": "\u202egnp.exe\u2066\u200b",
    "lines": "one\r\nINFO imgcls: forged\u2028line\x0b",
    "quotes": "'; DROP TABLE predictions; --",
}
LABELS = list(HOSTILE.values())
NAMES = [
    '<img src=x onerror="alert(1)">.png',
    "=cmd|' -C calc'!A0.png",
    "\u202egnp.png",
    "a'; DROP TABLE predictions; --.png",
    "a&b<b>.png",
]
SEEN_BY_PEOPLE = ("classify", "sql", "review", "compare", "report", "retry")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Two published runs of a model whose labels are hostile, over images whose names are."""
    root = tmp_path_factory.mktemp("text")
    labels = {str(index): label for index, label in enumerate(LABELS)}
    model = make_model(root / "model")
    config = json.loads((model / "config.json").read_text())
    ids = {label: int(index) for index, label in labels.items()}
    text = json.dumps({**config, "id2label": labels, "label2id": ids})
    (model / "config.json").write_text(text)
    (root / "photos").mkdir()
    for index, name in enumerate(NAMES):
        (root / "photos" / name).write_bytes(encode(draw_photo(index, (40, 40)), "PNG"))
    (root / "photos" / "<b>\u202ebroken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    places = [f"--input={root}/photos", f"--output={root}/out", f"--model={model}"]
    more = ["--top_k=all", "--engine=torch", f"--output_jsonl={root}/a.jsonl"]
    assert main(["classify", *places, *more, "--run_id=a", "--max_error_ratio=1"]) == 0
    assert main(["classify", *places, "--run_id=b", "--max_error_ratio=1"]) == 0
    shutil.copy(root / "a.jsonl", root / "out" / "a.jsonl")
    return root / "out"


def ask(program: str, output: pathlib.Path) -> list[str]:
    places = [f"--output={output}"]
    run = [*places, "--run_id=a"]
    return {
        "classify": [*run, f"--input={output.parent}/photos", f"--model={output.parent}/model"],
        "sql": [*places, "select * from predictions_latest"],
        "review": [*run, "--budget=6"],
        "compare": [*run, "--with=b"],
        "report": run,
        "retry": run,
    }[program]


@pytest.mark.parametrize("program", SEEN_BY_PEOPLE)
def test_nothing_that_is_shown_holds_a_character_that_does_not_print(
    program: str, output: pathlib.Path, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    copy = tmp_path / "out"
    shutil.copytree(output, copy)
    words = ask(program, output) if program in ("sql", "compare", "review") else []
    words = words or [each.replace(str(output), str(copy)) for each in ask(program, output)]
    if program == "classify":
        words += ["--if_exists=replace", "--max_error_ratio=1"]
    main([program, *words])
    said = capsys.readouterr()
    assert said.out + said.err != ""
    for line in (said.out + said.err).split("\n"):
        assert line.isprintable(), ascii(line)
        assert not line.startswith("INFO imgcls: forged")


@pytest.mark.parametrize("program", ["sql", "review", "compare"])
def test_a_json_answer_is_one_object_that_keeps_the_text(
    program: str, output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([program, *ask(program, output), "--json"]) == 0
    text = capsys.readouterr().out
    assert isinstance(json.loads(text), dict)


def test_rows_and_responses_keep_each_label_as_it_is(output: pathlib.Path) -> None:
    (path,) = output.glob("predictions/*/*/run_id=a/*.parquet")
    rows: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist()
    good = [row for row in rows if row["status"] == "ok"]
    assert len(good) == len(NAMES)
    for row in good:
        assert {each["label"] for each in row["predictions"]} == set(LABELS)
    lines = (output / "a.jsonl").read_bytes().removesuffix(b"\n").split(b"\n")
    assert len(lines) == len(rows)
    for answer in map(json.loads, lines):
        if "error" not in answer:
            assert {each["label"] for each in answer["response"]} == set(LABELS)


def test_no_cell_of_a_table_for_labelling_is_a_formula(
    output: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    asked = [*ask("review", output), f"--csv={tmp_path}/a.csv", f"--label_studio={tmp_path}/a.json"]
    assert main(["review", *asked]) == 0
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert len({len(row) for row in rows}) == 1
    for row in rows[1:]:
        for cell in row:
            assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
            assert not cell.startswith("-") or cell[1:].replace(".", "").isdigit(), cell
    assert len(json.loads((tmp_path / "a.json").read_text())) == len(rows) - 1


class Elements(html.parser.HTMLParser):
    """Names of elements and attributes of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs


def test_a_report_has_no_element_of_a_label_or_a_name(output: pathlib.Path) -> None:
    assert main(["report", f"--output={output}", "--run_id=a"]) == 0
    text = (output / "reports" / "a.html").read_text(encoding="utf-8")
    page = Elements()
    page.feed(text)
    assert len(page.names) > 20
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [value for name, value in page.attributes if name == "src" and value == "x"]
    assert "alert(" not in "".join(text.split("&quot;")[:1]).partition("<body")[0]
    assert not [each for each in text if not each.isprintable() and each != "\n"]


def test_a_query_takes_a_label_for_text(
    output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "select count(*) as n from predictions_latest where status = 'ok'"
    assert main(["sql", f"--output={output}", query, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert "5" in json.dumps(answer)
