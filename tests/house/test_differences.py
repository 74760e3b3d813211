"""The page of deliberate differences, held against the edge cases."""

from tests.edges.page import PATH, render


def test_the_page_of_differences_is_that_of_the_table() -> None:
    assert PATH.read_text(encoding="utf-8") == render(), "run `python -m tests.edges`"
