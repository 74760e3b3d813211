"""What every program may be told about what it says: `--json`, `--quiet`, `--verbose`.

They are taken off the command line before anything else is looked at, so that a refusal too is said
as it was asked for.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_FLAGS = {
    "json": "one JSON object on standard output, and nothing else there",
    "quiet": "no progress",
    "verbose": "show what other libraries log, which else goes to a file",
}
NAMES = tuple(_FLAGS)


def add_speech_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags to a parser, so that its help names them."""
    group = parser.add_argument_group("what is said")
    for name, text in _FLAGS.items():
        group.add_argument(f"--{name}", action="store_true", help=text)


def take_speech_flags(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """What is asked of these flags, and the other words of the command line."""
    flags = {f"--{name}": name for name in _FLAGS}
    given = {flags[word] for word in argv if word in flags}
    return (
        argparse.Namespace(**{name: name in given for name in _FLAGS}),
        [word for word in argv if word not in flags],
    )


def render_answer(
    program: str, code: int, fields: Mapping[str, Any], error: Mapping[str, Any] | None = None
) -> str:
    """The JSON object of a program that has ended: the same five fields for each, then its own.

    Args:
        program: its name.
        code: its exit code.
        fields: what is its own.
        error: `kind`, `option` and `message`; None where there is none.
    """
    answer = {"program": program, "exit_code": code, "error": error, **fields}
    return json.dumps(_to_plain(answer), ensure_ascii=False, indent=2) + "\n"


def _to_plain(value: Any) -> Any:  # noqa: ANN401  any value of JSON
    """What JSON can hold: no number that is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): _to_plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(each) for each in value]
    return value
