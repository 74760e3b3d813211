"""The flags that name a finished run, and what they mean: for programs that ask runs."""

import argparse
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from imgcls_beam.bigquery import parse_table
from imgcls_beam.checks import check_count, check_text, check_url
from imgcls_beam.errors import ConfigError

from .speech import add_speech_flags

if TYPE_CHECKING:
    from imgcls_beam.analysis import RunRows

EPILOG = "Exit codes: 0 done; 1 failed; 2 wrong usage."


def make_run_parser(program: str, description: str) -> argparse.ArgumentParser:
    """A parser that has the flags of a run, and those that every program has."""
    parser = argparse.ArgumentParser(
        prog=f"imgcls {program}", description=description, epilog=EPILOG, allow_abbrev=False
    )
    add = parser.add_argument_group("run").add_argument
    add("--output", metavar="DIR", help="folder of the rows")
    add("--output_table", metavar="P.D.T", help="BigQuery table of the rows, instead of a folder")
    add("--run_id", metavar="ID", help="the run (the one that was finished last)")
    add("--model", metavar="M", help="id or key of its model, where it has several")
    add_speech_flags(parser)
    return parser


def check_run_flags(flags: argparse.Namespace) -> None:
    """Checks the flags of a run, and opens nothing.

    Raises:
        ConfigError: no place or two, or a value that cannot be one.
    """
    if (flags.output is None) == (flags.output_table is None):
        problem = "give the folder of the rows, or --output_table=P.D.T; one of the two"
        raise ConfigError("output", flags.output, problem)
    if flags.output is not None:
        check_url("output", flags.output, ())
    if flags.output_table is not None:
        parse_table(flags.output_table)
    for name in ("run_id", "model"):
        if getattr(flags, name) is not None:
            check_text(name, getattr(flags, name))


def check_rest(program: str, rest: list[str]) -> None:
    """Refuses what no flag took.

    Raises:
        ConfigError: there is something.
    """
    if rest:
        raise ConfigError("argument", rest[0], f"{program} has no such flag; see --help")


def to_count(name: str, text: str) -> int:
    """The value of a flag that counts.

    Raises:
        ConfigError: it is no integer of 1 or more.
    """
    try:
        return check_count(name, int(text))
    except ValueError as error:
        raise ConfigError(name, text, "allowed: an integer of 1 or more") from error


def open_asked(flags: argparse.Namespace) -> "RunRows":
    """The run that the flags name.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    return make_opener(flags)(flags.run_id)


def make_opener(flags: argparse.Namespace) -> "Callable[[str | None], RunRows]":
    """What opens a run of the place that the flags name, by its id."""
    from imgcls_beam.analysis import RunPlace, open_run
    from imgcls_beam.stores import check_store

    if flags.output is not None:
        check_store("output", flags.output)
    return functools.partial(open_run, RunPlace(flags.output, flags.output_table))
