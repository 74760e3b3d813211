"""Text on its way to a person: what may be shown, and what happens where it cannot be.

Labels and URIs are other people's text: control characters are shown as escapes, so that a label
cannot move the cursor or forge a line.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence

_LOG = logging.getLogger("imgcls")
_PLAIN = str.maketrans({"─": "-", "·": "-", "×": "x", "–": "-", "…": "..."})


def say(describe: Callable[[], str], so_far: str = "all is done, but it") -> None:
    """Prints what was done. It is done: nothing that fails here may say otherwise.

    Standard output may be closed, full, or of an encoding that lacks a letter; rows that are to be
    shown may not be read. A log line says so.

    Args:
        describe: gives what is printed.
        so_far: how the log line begins.
    """
    try:
        sys.stdout.write(_to_plain(describe()))
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001  whatever it is, what was done stays done
        drop_stdout()
        with contextlib.suppress(Exception):
            _LOG.warning("%s could not be shown here: %s", so_far, type(error).__name__)


def print_answer(who: str, text: str) -> int:
    """Prints a text that is all that was asked for; returns the exit code.

    Args:
        who: says what goes wrong.
        text: the answer.
    """
    if sys.stdout is None:  # closed by who started the program
        return 0
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; the interpreter must not flush at its end
        drop_stdout()
    except OSError as error:  # a full disk behind standard output
        drop_stdout()
        sys.stderr.write(f"{who}: {describe_cut(error)}\n")
        return 1
    return 0


def describe_cut(error: OSError) -> str:
    """What to say of an answer that could not be written, or only in part."""
    reason = type(error).__name__ if error.errno is None else os.strerror(error.errno)
    return f"the answer was not written to its end: {reason}"


def _to_plain(text: str) -> str:
    """Our own marks in ASCII where standard output is not UTF-8; the rest is up to its encoding."""
    is_utf_8 = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    return text if is_utf_8 else text.translate(_PLAIN)


def drop_stdout() -> None:
    """Lets what waits to be written go nowhere: the interpreter would fail on it at its end."""
    with contextlib.suppress(OSError, ValueError):  # no file, or one of a test
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def align(rows: Sequence[Sequence[str]], texts: int) -> list[str]:
    """Lines of a table, with a rule below its first row.

    Args:
        rows: cells that may be shown; the first are the names of the columns.
        texts: how many columns are text, to the left; numbers come after them, to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if at < texts else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "  ".join("─" * width for width in widths), *lines[1:]]


def escape(text: str, keep: str = "") -> str:
    """Text without control characters: each is shown as its escape."""
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in text
    )
