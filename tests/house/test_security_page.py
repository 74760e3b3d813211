"""SECURITY.md: each promise names tests, and each of them is there."""

import ast
import pathlib
import re

import pytest

_ROOT = pathlib.Path(__file__).parents[2]
_PAGE = (_ROOT / "SECURITY.md").read_text(encoding="utf-8")
_TABLES = _PAGE.partition("## What is promised")[2].partition("## What does not hold")[0]
_PROMISES = [
    row.strip("| ").split(" | ")
    for row in _TABLES.splitlines()
    if row.startswith("| ") and row != "| promise | held by |"
]


def find_tests(path: pathlib.Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_there_are_promises() -> None:
    assert len(_PROMISES) >= 10
    assert all(len(each) == 2 for each in _PROMISES)


@pytest.mark.parametrize(
    ("promise", "held_by"), _PROMISES, ids=[each[0][:40].strip() for each in _PROMISES]
)
def test_a_promise_is_held_by_tests_that_are_there(promise: str, held_by: str) -> None:
    assert len(promise) > 20
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", held_by)
    assert named
    assert ", ".join(f"`{path}::{name}`" for path, name in named) == held_by
    for path, name in named:
        assert name in find_tests(_ROOT / path), name
