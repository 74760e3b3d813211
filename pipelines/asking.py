"""What the programs that ask finished runs have in common: flags in, an answer out."""

import argparse
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import startup, terminal
from .program import DONE, Fields, run_main

FieldsOrText = Mapping[str, Any] | str
"""The fields of a JSON object, where that is asked for, or text for people."""


def run_asking(
    name: str,
    argv: Sequence[str] | None,
    parse_flags: Callable[[Sequence[str]], argparse.Namespace],
    answer: Callable[[argparse.Namespace], FieldsOrText],
) -> int:
    """Parses flags, asks, and prints the answer.

    Args:
        name: of the program.
        argv: without the program's name; None for that of the process.
        parse_flags: gives the flags.
        answer: to these flags, and `json`, which says what kind of it is asked for.

    Returns:
        The exit code.
    """
    return run_main(name, argv, functools.partial(_ask, parse_flags, answer))


def _ask(
    parse_flags: Callable[[Sequence[str]], argparse.Namespace],
    answer: Callable[[argparse.Namespace], FieldsOrText],
    words: list[str],
    how: argparse.Namespace,
) -> tuple[int, Fields | None]:
    asked = parse_flags(words)
    asked.json = how.json
    with startup.pause_collector():
        found = answer(asked)
    if isinstance(found, str):
        terminal.say(functools.partial(str, found))
        return DONE, None
    return DONE, functools.partial(dict, found)


def make_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], shown_chars: int, texts: int = 1
) -> list[str]:
    """Lines of a table: text to the left, and numbers, which come after it, to the right.

    Args:
        names: of the columns.
        rows: cells, which may hold other people's text.
        shown_chars: of a cell at the most; the rest of it becomes `…`.
        texts: how many of the columns are text.
    """
    cells = [[_shorten(cell, shown_chars) for cell in row] for row in (names, *rows)]
    return terminal.align(cells, texts)


def shorten_uri(uri: str, shown_chars: int) -> str:
    """A URI without control characters; its end says which image it is."""
    text = terminal.escape(uri)
    return text if len(text) <= shown_chars else f"…{text[1 - shown_chars :]}"


def _shorten(cell: str, shown_chars: int) -> str:
    text = terminal.escape(cell)
    return text if len(text) <= shown_chars else f"{text[: shown_chars - 1]}…"
