"""Every program of docs/plugin.md runs as it stands, and prints what the page says."""

import json
import os
import pathlib
import re
from typing import Any

import pytest
import yaml

import imgcls_beam
from imgcls_beam.accelerators import to_hint

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugin.md").read_text(encoding="utf-8")
BLOCKS = dict(
    (name, (language, text))
    for name, language, text in re.findall(
        r"<!-- test: (\w+) -->\n```(\w+)\n(.*?)```", PAGE, re.DOTALL
    )
)
PROGRAMS = [name for name, (language, _) in BLOCKS.items() if language == "python"]

STAR, PAGE_JPG = "demo/images/star-26-plain.png", "demo/images/broken-page.jpg"
PRINTED = {
    "uris": [str((STAR, "star")), str((PAGE_JPG, "not_an_image"))],
    "bytes": ["camera-7/0001 r-1 2"],
    "keyed": [str((7, "star"))],
    "arguments": ["failed: not_an_image", "['star', 'cross']"],
    "models": [f"{STAR} True"],
    "stream": [],
    "update": [r"demo/model \[\{'label': 'star', 'score': 0\.9\d+\}\]"],
    "shared": [],
    "rows": ["7 star cross"],
    "whole": [],
    "flattened": ["4 2"],
    "failing": ["left behind: []"],
    "table": [r"DONE \{'listed': 2, 'ok': 1, 'error': 1, 'skipped': 0\}"],
    "hints": ["star"],
}
"""What each program prints, in any order; a pattern where it has a backslash."""


@pytest.fixture
def in_a_copy(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder in which `demo/` lies as it does in the checkout."""
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_of_the_page_is_run() -> None:
    assert len(re.findall(r"^```\w", PAGE, re.MULTILINE)) == len(BLOCKS)
    assert sorted(PROGRAMS) == sorted(PRINTED)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_and_prints(
    name: str, in_a_copy: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    scope: dict[str, Any] = {"__name__": "example"}
    exec(compile(BLOCKS[name][1], f"docs/plugin.md#{name}", "exec"), scope)
    lines = sorted(capfd.readouterr().out.splitlines())
    for line, expected in zip(lines, sorted(PRINTED[name]), strict=True):
        pattern = expected if "\\" in expected else re.escape(expected)
        assert re.fullmatch(pattern, line), (line, expected)


def test_the_stream_leaves_a_file_of_lines_for_each_window(in_a_copy: pathlib.Path) -> None:
    exec(compile(BLOCKS["stream"][1], "docs/plugin.md#stream", "exec"), {"__name__": "example"})
    files = [path for path in (in_a_copy / "out" / "stream").iterdir() if path.is_file()]
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    photos = sorted(str(path) for path in pathlib.Path("demo/images").iterdir())
    assert 1 <= len(files) <= 2  # the minute may end meanwhile
    assert sorted(line["image_uri"] for line in lines) == photos[: len(lines)]
    assert len(lines) in (4, 5)


def test_the_table_is_one_that_can_be_queried(in_a_copy: pathlib.Path) -> None:
    exec(compile(BLOCKS["table"][1], "docs/plugin.md#table", "exec"), {"__name__": "example"})
    record = json.loads((in_a_copy / "out" / "mine" / "runs" / "tonight.json").read_text())
    assert record["state"] == "DONE"
    (file,) = record["files"]
    assert os.path.getsize(in_a_copy / "out" / "mine" / file["path"]) > 0


def test_the_provider_names_a_transform_that_is_there() -> None:
    (provider,) = yaml.safe_load(BLOCKS["yaml"][1])["providers"]
    place, _, name = provider["transforms"]["ClassifyImages"].rpartition(".")
    assert (place, name in imgcls_beam.__all__) == ("imgcls_beam", True)


def test_each_public_name_of_a_transform_is_on_the_page() -> None:
    for name in imgcls_beam.__all__:
        if name.startswith(("Classify", "ImageClassification", "WriteP", "WriteJ", "ListI")):
            assert f"`{name}" in PAGE, name


def test_the_hint_is_the_one_that_the_job_takes() -> None:
    hints = re.findall(r'accelerator(?:": |=)"([^"]+)"', PAGE)
    assert hints == [to_hint("l4")] * 2
