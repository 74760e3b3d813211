"""The tour of docs/evaluation.md: its commands run in their order, and print what it shows."""

import csv
import pathlib
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from pipelines.__main__ import main

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"<!-- test: ([\w ]+) -->\n```(\w+)\n(.*?)```(?:\n\n```\n(.*?)```)?", re.DOTALL)


class Block(NamedTuple):
    """A command or program of the page, and what it shows of the answer."""

    what: str
    language: str
    text: str
    shown: str


BLOCKS = [Block(*found) for found in _BLOCK.findall(PAGE)]


def fill_in(path: pathlib.Path) -> None:
    """As a person does: the truth of a picture stands in its name."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        label = row["image_uri"].rpartition("/")[2].split("-")[0]
        row["truth"] = "" if label == "broken" else label
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def run_all(capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[Block, str]]:
    """Runs block after block; gives each with what it printed."""
    for block in BLOCKS:
        capsys.readouterr()
        if block.language == "python":
            exec(compile(block.text, block.what, "exec"), {})
        else:
            program, *arguments = shlex.split(block.text.replace("\\\n", " "))
            assert program == "imgcls"
            assert main(arguments) == 0, block.what
        yield block, capsys.readouterr().out
        if block.what == "review":
            fill_in(pathlib.Path("review.csv"))


@pytest.mark.slow
def test_the_tour_runs_and_prints_what_the_page_shows(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    monkeypatch.chdir(tmp_path)
    printed = {}
    for block, out in run_all(capsys):
        printed[block.what] = out
        assert out.startswith(block.shown), block.what
    assert {block.what for block in BLOCKS if block.shown} == {"evaluate", "compare"}
    assert "5 images judged" in printed["evaluate reviewed"]
    assert len(printed["sql"].splitlines()) == 2 + 2 * 10
    assert printed["python"].split() == ["1.0", "10", "27"]


def test_every_command_of_the_page_is_tested() -> None:
    tested = [block.text for block in BLOCKS]
    for text in re.findall(r"```(?:bash|python)\n(.*?)```", PAGE, re.DOTALL):
        assert text in tested, text
