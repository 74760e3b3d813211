"""docs/report.md: its commands are commands, and its numbers those of the code."""

import pathlib
import re
import shlex

from PIL import Image

from imgcls_beam.analysis.report_page import gathering, picturing, row_tally
from pipelines import flags, report_flags

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")


def test_its_commands_have_flags_that_exist() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("imgcls ")]
    assert len(lines) == 6
    for line in lines:
        _, program, *arguments = shlex.split(line, comments=True)
        parse = {"classify": flags.parse_flags, "report": report_flags.parse_flags}[program]
        parse(arguments)


def test_its_numbers_are_those_of_the_code() -> None:
    tally = row_tally.Tally()
    for text in (
        f"up to {gathering._MAX_SHEETS} labels",
        f"the {tally.least_certain.limit} images whose two best",
        f"**Rows:** up to {row_tally.MAX_ROWS:,}.",
        f"**Pictures:** up to {picturing.MAX_PICTURES}, "
        f"{picturing.MAX_CHARS / 1e6:.0f} MB in all, {picturing.EDGE_PX} pixels at most",
    ):
        assert text in PAGE, text


def test_its_pictures_are_there_and_small() -> None:
    names = set(re.findall(r"\((pictures/[a-z-]+\.png)\)", PAGE))
    assert len(names) == 4
    for name in names:
        path = ROOT / "docs" / name
        assert path.stat().st_size < 300_000
        assert Image.open(path).size[0] in (390, 1280)
