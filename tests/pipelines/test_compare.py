"""`imgcls compare`: what it says of two runs, and how it refuses."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import jsonschema  # type: ignore[import-untyped]
import pytest

from imgcls_beam.analysis.comparison_page import comparison_writing
from pipelines.__main__ import main
from schemas import load_schema
from tests.said import Said, publish_said
from tests.staged import RUN

BEFORE = [
    Said("gs://b/0.jpg", [("cat", 0.9), ("dog", 0.1)]),
    Said("gs://b/1.jpg", [("cat", 0.8), ("dog", 0.2)]),
    Said("gs://b/2.jpg", [("dog", 0.75), ("cat", 0.25)]),
    Said("gs://b/3.jpg", ()),
]
AFTER = [
    Said("gs://b/0.jpg", [("cat", 0.95), ("dog", 0.05)]),
    Said("gs://b/1.jpg", [("dog", 0.7), ("cat", 0.3)]),
    Said("gs://b/2.jpg", [("dog", 0.75), ("cat", 0.25)]),
    Said("gs://b/3.jpg", [("\x1b[2J\u202e", 0.5), ("cat", 0.5)]),
]
TEXT = """\
A: run before · model owner/model@aaaaaaaaaaaa
B: run after · model owner/model@aaaaaaaaaaaa
3 images in both · 0 in A alone · 1 in B alone
agreement 66.7% · kappa 0.400 · 1 changed

A → B      images
─────────  ──────
cat → dog       1

label  images A  images B  score shift   apart
─────  ────────  ────────  ───────────  ──────
cat           2         1      -0.1500  0.1833
dog           1         2      +0.1500  0.1833

look first at those of which both are sure
image                 A          B
────────────  ─────────  ─────────
gs://b/1.jpg   cat 0.800  dog 0.700
"""


@pytest.fixture
def output(tmp_path: pathlib.Path) -> str:
    for run_id, says in (("before", BEFORE), ("after", AFTER)):
        publish_said(str(tmp_path), says, dataclasses.replace(RUN, run_id=run_id))
    return str(tmp_path)


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["compare", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_people_read_tables(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run([f"--output={output}", "--run_id=before", "--with=after"], capsys)
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        line.split() for line in TEXT.splitlines()
    ]


def test_json_is_one_object_of_the_schema(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [f"--output={output}", "--run_id=before", "--with=after", "--json", "--limit=5"]
    code, out, err = run(flags, capsys)
    assert (code, err) == (0, "")
    found = json.loads(out)
    jsonschema.validate(found, load_schema("compare.answer"))
    assert (found["images"], found["flipped"]) == (3, 1)
    assert found["a"] == {
        "place": output,
        "run_id": "before",
        "model_key": "owner/model@aaaaaaaaaaaa",
    }


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_page_is_written_where_it_is_asked_for(
    output: str, flags: list[str], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "pages" / "both.html"
    names = [f"--output={output}", "--run_id=before", "--with=after", "--limit=1"]
    code, out, err = run([*names, f"--to={to}", *flags], capsys)
    assert (code, err) == (0, "")
    page = to.read_text(encoding="utf-8")
    assert "Comparison of two runs" in page
    assert "gs://b/1.jpg" in page
    if flags:
        found = json.loads(out)
        jsonschema.validate(found, load_schema("compare.answer"))
        assert (found["report"], len(found["flips"])) == (str(to), 1)
    else:
        assert out.endswith(f"dog 0.700\n\nreport: {to}\n")


def test_the_page_changes_nothing_of_what_is_listed(
    output: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page has more images than `--limit`."""
    later = [
        Said("gs://b/0.jpg", [("dog", 0.8), ("cat", 0.2)]),
        Said("gs://b/1.jpg", [("dog", 0.7), ("cat", 0.3)]),
    ]
    publish_said(output, later, dataclasses.replace(RUN, run_id="later"))
    to = tmp_path / "both.html"
    names = [f"--output={output}", "--run_id=before", "--with=later", "--limit=1", "--json"]
    _, out, _ = run([*names, f"--to={to}"], capsys)
    found = json.loads(out)
    assert (found["flipped"], len(found["flips"])) == (2, 1)
    assert "Every image with another label." in to.read_text(encoding="utf-8")


def test_a_limit_above_what_a_page_has_holds_for_the_object(
    output: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparison_writing, "MAX_CHANGED", 0)
    flags = [f"--output={output}", "--run_id=before", "--with=after", "--json", "--limit=5"]
    _, out, _ = run([*flags, f"--to={tmp_path / 'both.html'}"], capsys)
    assert len(json.loads(out)["flips"]) == 1


def test_odd_labels_are_shown_as_escapes(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_3 = dataclasses.replace(RUN, run_id="later")
    publish_said(output, [Said("gs://b/3.jpg", [("=cmd()", 1.0)])], run_3)
    _, out, _ = run([f"--output={output}", "--run_id=after", "--with=later"], capsys)
    assert r"\x1b[2J\u202e" in out
    assert not set(out) & {"\x1b", "\u202e"}


def test_another_output_is_compared_by_its_newest_run(
    output: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_said(str(tmp_path / "other"), BEFORE)
    flags = [f"--output={output}", "--run_id=before", f"--with_output={tmp_path / 'other'}"]
    code, out, _ = run(flags, capsys)
    assert code == 0
    assert "agreement 100.0%" in out
    assert out.splitlines()[1].endswith(str(tmp_path / "other"))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "give what to compare with"),
        (["--with=none"], "with='none': there is no such finished run"),
        (["--run_id=none", "--with=after"], "run_id='none': there is no such finished run"),
        (["--with_output=nowhere"], "with_output='nowhere': "),
        (["--run_id=after", "--with=after"], "it is the same run and model"),
        (["--with_model=other"], "with_model='other': run after has owner/model"),
        (["--with=before", "--limit=0"], "an integer of 1 or more"),
        (["--with=before", "--limit=many"], "an integer of 1 or more"),
        (["--with_output=x", "--with_output_table=p.d.t"], "give a folder or a table"),
        (["--with_output_table=t"], "with_output_table='t'"),
        (["--with=before", "--to=/proc/no/page.html"], "to='/proc/no"),
        (["--with=before", "--to=gs://b\n/page.html"], "to="),
        (["--wiht=before"], "compare has no such flag"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_2(
    output: str, flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run([f"--output={output}", *flags], capsys)
    assert (code, out) == (2, "")
    assert err.startswith("imgcls compare: ")
    assert sentence in err
