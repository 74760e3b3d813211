"""docs/operations.md has every failure code, as the code has it."""

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

from imgcls_beam import health, json_bounds
from imgcls_beam.classifying import building, watchdog
from imgcls_beam.errors import STAGE_OF, FailureCode
from imgcls_beam.models import claims

_ROOT = pathlib.Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
_ROWS = re.findall(r"^\| `(\w+): (\w+)` \| (.+) \|$", _PAGE, re.MULTILINE)
_AGAIN = ("yes", "no", "sometimes")


def test_every_code_has_one_row_below_its_stage() -> None:
    assert [(stage, code) for stage, code, _ in _ROWS] == [
        (STAGE_OF[code].value, code.value) for code in FailureCode
    ]


@pytest.mark.parametrize(("stage", "code", "cells"), _ROWS, ids=[row[1] for row in _ROWS])
def test_a_row_says_meaning_causes_what_to_do_and_whether_to_try_again(
    stage: str, code: str, cells: str
) -> None:
    meaning, causes, advice, again = cells.split(" | ")
    assert min(map(len, (meaning, causes, advice))) > 5
    assert again in _AGAIN


def _iterate_calls() -> Iterator[ast.Call]:
    for path in (_ROOT / "imgcls_beam").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield node


def test_what_is_worth_another_try_is_what_the_code_makes_retryable() -> None:
    """Each call with `retryable=…`: the codes that it or its condition names."""
    retried: set[str] = set()
    for call in _iterate_calls():
        if any(keyword.arg == "retryable" for keyword in call.keywords):
            named = re.findall(r"FailureCode\.(\w+)", ast.unparse(call))
            retried.update(name.lower() for name in named)
    assert {code for _, code, cells in _ROWS if not cells.endswith("| no")} == retried


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("a JSON file of a model", f"{json_bounds.MAX_BYTES >> 20} MiB"),
        ("a JSON file of a model", f"{json_bounds.MAX_LEVELS} levels"),
        ("a JSON file of a model", f"{json_bounds.MAX_CONTAINERS:,} lists"),
        ("`num_labels`", f"{claims.MAX_LABELS:,}"),
        ("any other number of `config.json`", f"{claims.MAX_COUNT:,}"),
        ("a number of the image processor's config", f"{claims.MAX_EDGE_PX:,}"),
        ("layers, weights and tables", f"{building._MAX_PARTS:,}"),
        ("weights that the config makes", f"{building._SPARE_WEIGHTS / 1e6:.1f} million"),
        ("not come back from a pass", f"{watchdog.PACE_RATIO:.0f} times"),
        ("not come back from a pass", f"{watchdog.LEAST_S / 60:.0f} minutes at least"),
        ("not come back from a pass", f"after {watchdog.FIRST_S / 60:.0f} minutes"),
        ("on most of the last", f"last {health._RECENT} images"),
        ("on most of the last", f"more than {health._MOST_FAILED} "),
        ("to pictures that it knows", f"each {health._MOST_IMAGES:,}"),
    ],
)
def test_a_limit_is_that_of_the_code(what: str, limit: str) -> None:
    rows = [line for line in _PAGE.splitlines() if line.startswith("| ") and what in line]
    assert len(rows) == 1
    assert limit in rows[0]
