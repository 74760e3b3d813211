"""Every command of the README and of the pages of use is run, or parsed where it cannot be."""

import html
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import duckdb
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from demo import terminal
from pipelines import flags
from pipelines.__main__ import main

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ("README.md", "docs/usage.md", "docs/outputs.md", "docs/plan.md")
README = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
_BLOCK = re.compile(r"(?:<!-- test: ([\w ]+) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
BLOCKS = [(what, language, text) for what, language, text in _BLOCK.findall(README)]


def find_block(what: str) -> str:
    (text,) = [text for found, _, text in BLOCKS if found == what]
    return text


@pytest.fixture
def in_a_copy(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder in which `demo/` lies as it does in the checkout."""
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def to_arguments(text: str) -> list[str]:
    program, *arguments = shlex.split(text.replace("\\\n", " "))
    assert program == "imgcls"
    return arguments


def test_every_block_with_a_command_of_ours_is_tested() -> None:
    for what, _, text in BLOCKS:
        if text.startswith("imgcls ") or "import imgcls_beam" in text or "select " in text:
            assert what, text


@pytest.mark.slow
def test_the_folder_command_runs_and_the_query_answers(
    in_a_copy: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(to_arguments(find_block("runs"))) == 0
    rows = duckdb.sql(find_block("sql")).fetchall()
    assert len(rows) == 10
    assert all(count > 0 and 0 < score <= 1 for _, count, score in rows)
    assert main(to_arguments(find_block("retry"))) == 0
    capsys.readouterr()
    question = [each.replace("out/", "out/mine") for each in to_arguments(find_block("question"))]
    assert main(question) == 0
    assert "triangle" in capsys.readouterr().out
    assert main(to_arguments(find_block("views"))) == 0
    printed = capsys.readouterr().out
    assert "top_margin" in printed
    assert len(printed.splitlines()) == 2 + 5


ELSEWHERE = (
    *("needs the hub", "needs a bucket", "needs a bucket for its manifest"),
    *("needs a dataset", "needs requests", "needs a scheduler", "needs BigQuery", "every night"),
)


@pytest.mark.parametrize("what", ELSEWHERE)
def test_commands_that_need_the_world_outside_have_flags_that_exist(what: str) -> None:
    arguments = to_arguments(find_block(what))
    assert arguments[0] == "classify"
    job, rest = flags.parse_flags(arguments[1:])
    assert rest == []
    assert job.input.inputs or job.input.manifest or job.input.requests


def test_the_command_for_dataflow_has_flags_that_exist() -> None:
    arguments = to_arguments(find_block("needs Dataflow"))
    job, rest = flags.parse_flags(arguments[1:])
    assert (job.model.device, job.model.dtype) == ("cuda", "bfloat16")
    options = PipelineOptions(rest)
    given = options.get_all_options(drop_default=True)
    assert {each.partition("=")[0].removeprefix("--") for each in rest} <= given.keys()
    assert given["machine_type"] == "g2-standard-8"


@pytest.mark.slow
def test_the_doctor_finds_the_demo_well(
    in_a_copy: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(to_arguments(find_block("doctor"))) == 0
    assert capsys.readouterr().out.endswith("all is well\n")


@pytest.mark.slow
def test_a_plan_of_the_demo_is_made_and_nothing_is_written(
    in_a_copy: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert main(to_arguments(find_block("plan"))) == 0
    printed = capsys.readouterr().out
    assert "30 to classify" in printed
    assert "this machine" in printed
    assert [each.name for each in in_a_copy.iterdir()] == ["demo"]


def test_help_lists_every_flag_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(to_arguments(find_block("help")))
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    table = set(
        re.findall(r"`(--[a-z_]+)", README.partition("## Flags")[2].partition("Flags may")[0])
    )
    listed = set(re.findall(r"^  (--[a-z_]+)", printed, re.MULTILINE)) - {"--help_all"}
    assert len(listed) > 30
    assert table == listed


def test_help_fits_a_screen_and_says_where_the_rest_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["classify", "--help"])
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) <= 48
    assert max(map(len, printed.splitlines())) <= 100
    for word in ("--help_all", "--input", "--model", "--top_k", "--output", "examples:"):
        assert word in printed


def run_program(folder: pathlib.Path, text: str) -> str:
    program = folder / "example.py"
    program.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_python_example_runs(in_a_copy: pathlib.Path) -> None:
    printed = run_program(in_a_copy, find_block("python"))
    assert len(printed.splitlines()) == 2, "labels and scores, not the bytes of a picture"
    assert printed.count("label='star'") == 1
    assert printed.count("'label': 'star'") == 1


@pytest.mark.slow
def test_three_lines_are_a_whole_job(in_a_copy: pathlib.Path) -> None:
    run_program(in_a_copy, find_block("whole job"))
    record = json.loads((in_a_copy / "out" / "pipeline" / "runs" / "tonight.json").read_text())
    assert record["counts"] == {"listed": 30, "ok": 27, "error": 3, "skipped": 0}
    assert record["parameters"] == {"top_k": 3, "function_to_apply": None}


def test_the_picture_of_a_terminal_shows_commands_that_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is made by running them: python -m demo.terminal."""
    svg = terminal.PICTURE.read_text(encoding="utf-8")
    text = html.unescape(re.sub(r"<[^>]*>", "", svg)).replace("\xa0", " ")
    shown = re.sub(r"\s+", "", text)
    for command in terminal.COMMANDS:
        assert re.sub(r"\s+", "", command) in shown
        program, *arguments = to_arguments(command)
        with pytest.raises(SystemExit):
            main([program, "--help_all" if program == "classify" else "--help"])
        listed = capsys.readouterr().out
        names = set(re.findall(r"--\w+", listed))
        assert {flag.partition("=")[0] for flag in arguments if flag.startswith("--")} <= names
    assert "27 ok, 3 error of 30 listed" in text
    assert not re.search(r"/(root|tmp|work|var)/", text), "a path of the machine that made it"
    assert "url(http" not in svg, "a picture of ours fetches nothing"
    assert "docs/terminal.svg" in README
    typed = find_block("first three").replace(" \\\n  ", " ").splitlines()
    assert typed == list(terminal.COMMANDS)


def test_make_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_to_files_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 8
    for page, link in links:
        assert (page.parent / link).exists(), (page, link)
