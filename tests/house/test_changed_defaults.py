"""`tests/README.md` lists every default that a test changes: environment, constants, runners."""

import ast
import pathlib
import re
from collections.abc import Iterator

TESTS = pathlib.Path(__file__).parents[1]
PAGE = TESTS / "README.md"
_SETTERS = ("setenv", "delenv")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]+")


def _iterate_changes(tree: ast.AST) -> Iterator[str]:
    """Names of variables and constants that a file of tests sets.

    A variable is what `setenv` names, or a key of a dictionary whose keys are all written as
    variables are; a constant is what `setattr` names.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            if all(isinstance(key, str) and _VARIABLE.fullmatch(key) for key in keys):
                yield from keys
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        given = [each.value if isinstance(each, ast.Constant) else "" for each in node.args]
        if node.func.attr in _SETTERS and given[0]:
            yield str(given[0])
        if node.func.attr == "setattr" and _CONSTANT.fullmatch(str(given[1])):
            yield str(given[1])


def _find_changes() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("*.py")):
        for name in _iterate_changes(ast.parse(path.read_text())):
            found.setdefault(name, set()).add(str(path.relative_to(TESTS)))
    return found


def _read_listed() -> set[str]:
    """What stands in the first column of the page's tables."""
    rows = re.findall(r"^\| (`[^|]+) \|", PAGE.read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Za-z_0-9]+)`", row)}


def test_every_default_that_a_test_changes_has_its_reason_on_the_page() -> None:
    found = _find_changes()
    missing = {name: sorted(found[name]) for name in sorted(found.keys() - _read_listed())}
    assert missing == {}, "give each a line in tests/README.md, or leave the default as it is"


def test_the_page_lists_nothing_that_no_test_changes() -> None:
    text = "\n".join(path.read_text() for path in TESTS.rglob("*.py"))
    text += (TESTS.parent / "Makefile").read_text() + (TESTS.parent / "pyproject.toml").read_text()
    assert [name for name in sorted(_read_listed()) if name not in text] == []
