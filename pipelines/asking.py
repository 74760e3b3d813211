"""What the programs that ask finished runs have in common: flags in, an answer out."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imgcls_beam.errors import ConfigError, ImgclsError

from . import startup, terminal

_DONE, _FAILED, _USAGE = 0, 1, 2

Answer = Mapping[str, Any] | str
"""A JSON object, where that is asked for, or text for people."""


def run_asking(
    name: str,
    argv: Sequence[str] | None,
    parse_flags: Callable[[Sequence[str]], argparse.Namespace],
    answer: Callable[[argparse.Namespace], Answer],
) -> int:
    """Parses flags, asks, and prints the answer; says in one sentence what went wrong.

    Args:
        name: of the program.
        argv: without the program's name; None for that of the process.
        parse_flags: gives the flags, with `json`.
        answer: to these flags.

    Returns:
        The exit code.
    """
    startup.set_up()
    try:
        asked = parse_flags(sys.argv[1:] if argv is None else argv)
        with startup.pause_collector():
            found = answer(asked)
        if not isinstance(found, str):
            is_shown = sys.stdout.isatty()  # where other people's text could move the cursor
            found = json.dumps(found, ensure_ascii=is_shown, allow_nan=False) + "\n"
        sys.stdout.write(found)
        sys.stdout.flush()
    except ImgclsError as error:
        sys.stderr.write(f"imgcls {name}: {terminal.escape(str(error))}\n")
        return _USAGE if isinstance(error, ConfigError) else _FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"imgcls {name}: interrupted\n")
        return _FAILED
    except BrokenPipeError:  # `| head` has seen enough; the interpreter must not flush at its end
        terminal.drop_stdout()
    except OSError as error:
        terminal.drop_stdout()
        reason = type(error).__name__ if error.errno is None else os.strerror(error.errno)
        sys.stderr.write(f"imgcls {name}: the answer was not written to its end: {reason}\n")
        return _FAILED
    return _DONE


def make_table(names: Sequence[str], rows: Sequence[Sequence[str]], shown_chars: int) -> list[str]:
    """Lines of a table: its first column to the left and the others, which are numbers, right.

    Args:
        names: of the columns.
        rows: cells, which may hold other people's text.
        shown_chars: of a cell at the most; the rest of it becomes `…`.
    """
    cells = [[_shorten(cell, shown_chars) for cell in row] for row in (names, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return [lines[0], "  ".join("─" * width for width in widths), *lines[1:]]


def clean(text: str) -> str:
    """A line with other people's text in it, for a terminal."""
    return terminal.escape(text)


def _shorten(cell: str, shown_chars: int) -> str:
    text = terminal.escape(cell)
    return text if len(text) <= shown_chars else f"{text[: shown_chars - 1]}…"
