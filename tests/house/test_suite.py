"""How the tests are run: what is left out here is run there, and what takes longest begins."""

import pathlib
import re

import pytest

from tests.conftest import pytest_collection_modifyitems

ROOT = pathlib.Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGE = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")


class Item:
    """Of pytest's: a test in a file, with its marks."""

    def __init__(self, file: str, *marks: pytest.MarkDecorator) -> None:
        self.path = ROOT / "tests" / file
        self.marks = {each.name: each.mark for each in marks}

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return self.marks.get(name)

    def add_marker(self, name: str) -> None:
        self.marks[name] = getattr(pytest.mark, name).mark


def arrange(*items: Item) -> list[Item]:
    arranged = list(items)
    pytest_collection_modifyitems(arranged)  # type: ignore[arg-type]
    return arranged


def test_what_takes_long_or_starts_servers_is_slow() -> None:
    long, served, quick = (
        Item("unit/test_a.py", pytest.mark.long),
        Item("services/test_b.py"),
        Item("unit/test_c.py"),
    )
    arrange(long, served, quick)
    assert ["slow" in each.marks for each in (long, served, quick)] == [True, True, False]


def test_the_longest_come_first_and_files_of_quick_tests_last() -> None:
    quick, slow, beside, last = (
        Item("beam/test_a.py"),
        Item("unit/test_b.py", pytest.mark.slow),
        Item("unit/test_b.py"),
        Item("unit/test_c.py"),
    )
    long, longest = (Item("world/test_d.py", pytest.mark.long(minutes=each)) for each in (2, 6))
    arranged = arrange(quick, slow, beside, last, long, longest)
    assert arranged == [longest, long, slow, beside, quick, last]


def test_a_release_runs_what_make_test_leaves_out() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    commands = re.findall(r"^ +run: (.+)$", release, re.MULTILINE)
    assert {".ci/run", "make test-long"} <= set(commands)
    everything = r'make test-long\n +env:\n +IMGCLS_TEST_EVERYTHING: "1"$'
    assert re.search(everything, release, re.MULTILINE)
    assert re.search(
        r"^test-long:.*\n\t\$\(BIN\)/python -m pytest \$\(SPREAD\) -m long$", MAKEFILE, re.M
    )


def test_no_test_waits_for_a_switch_of_its_own() -> None:
    """What nobody sets is never run; what takes long has the marker."""
    mine = pathlib.Path(__file__)
    for path in sorted((ROOT / "tests").rglob("*.py")):
        assert path == mine or "IMGCLS_LONG" not in path.read_text(encoding="utf-8"), path


def test_the_page_says_what_each_target_runs() -> None:
    rows = set(re.findall(r"^\| `make ([\w-]+)` \|", PAGE, re.MULTILINE))
    targets = re.findall(r"^([\w-]+):.*\n(?:\t.*\n)*?\t.*-m pytest", MAKEFILE, re.MULTILINE)
    assert rows == set(targets)
