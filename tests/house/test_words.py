"""One word, one meaning, one home: module names, public words, and the glossary."""

import ast
import collections
import pathlib
import re
from collections.abc import Iterator

import pytest

import imgcls_beam

ROOT = pathlib.Path(__file__).parents[2]
FOLDERS = ("imgcls_beam", "pipelines", "schemas")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
GLOSSARY = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Words")[2]
HOMES = re.findall(r"^\| ([^|]+) \| [^|]+ \| `(\w+)` \|$", GLOSSARY, re.MULTILINE)
NOT_USED = ("ahead", "succession", "standing", "withdraw", "losers", "swapping", "fragment")
"""Of the glossary's second table, what has no other meaning that a name may need."""


def list_definitions(path: pathlib.Path) -> Iterator[str]:
    """Classes and functions of a module, and values that it names."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (each.id for each in targets if isinstance(each, ast.Name))


def list_names(path: pathlib.Path) -> Iterator[str]:
    """Every name that a module makes: of itself, of definitions, arguments and variables."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def split_words(name: str) -> list[str]:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")


def test_a_module_name_stands_once() -> None:
    names = collections.Counter(path.stem for path in MODULES if not path.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_a_package_has_no_module_of_its_own_name() -> None:
    packages = {path.parent.name for path in MODULES if path.stem == "__init__"}
    assert packages.isdisjoint(path.stem for path in MODULES)


def test_a_public_word_has_one_home() -> None:
    """Of what `imgcls_beam` exports, and of each public class anywhere in the package."""
    homes = collections.defaultdict(list)
    for path in MODULES:
        for name in list_definitions(path):
            if name in imgcls_beam.__all__ or re.fullmatch(r"[A-Z][a-z]\w+", name):
                homes[name].append(str(path.relative_to(ROOT)))
    assert set(imgcls_beam.__all__) <= homes.keys()
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_has_a_word_that_the_glossary_replaced(path: pathlib.Path) -> None:
    for name in list_names(path):
        words = split_words(name)
        assert not {*words, *(word.rstrip("s") for word in words)} & set(NOT_USED), name


def test_the_glossary_names_homes_that_there_are() -> None:
    assert len(HOMES) > 10
    for word, home in HOMES:
        path = ROOT / "imgcls_beam" / home
        assert path.is_dir() or path.with_suffix(".py").is_file(), word


def test_what_the_glossary_replaced_is_in_it() -> None:
    assert all(re.search(rf"^\|[^|]*\b{word}\b", GLOSSARY, re.MULTILINE) for word in NOT_USED)
