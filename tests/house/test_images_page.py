"""docs/images.md names every format that is known, and what is decoded."""

import pathlib
import re

import pytest

from imgcls_beam.errors import FailureCode
from imgcls_beam.preparing import formats

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "images.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([^|]+) \| (.+?) \|$", PAGE, re.MULTILINE))


def _names(row: str) -> set[str]:
    return {re.sub(r" \((?!C|R|M|O|X).*", "", name) for name in ROWS[row].split(", ")}


def test_every_format_that_is_decoded_is_named() -> None:
    said = f"{ROWS['decoded']} {ROWS['decoded with an extra']}"
    assert set(re.findall(r"\w+", said)) >= set(formats.FORMATS)


def test_every_format_that_is_not_decoded_is_named() -> None:
    assert _names("known, not decoded") == set(formats._UNSUPPORTED)


@pytest.mark.parametrize("code", ["unsupported", "truncated", "corrupt", "not_an_image"])
def test_codes_are_those_that_there_are(code: str) -> None:
    assert f"| `{FailureCode(code)}` |" in PAGE
