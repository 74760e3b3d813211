"""The flags of `compare`."""

import argparse
from collections.abc import Sequence

from imgcls_beam.bigquery import parse_table
from imgcls_beam.checks import check_count, check_text, check_url
from imgcls_beam.errors import ConfigError

from .arguments import parse_own
from .run_flags import check_rest, check_run_flags, make_run_parser

_OTHERS = ("with", "with_output", "with_output_table", "with_model")


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `compare`.

    Returns:
        The flags of a run; `with`, `with_output`, `with_output_table`, `with_model`, text or None;
        `limit`, a count; `json`.

    Raises:
        ConfigError: a flag or value that is not allowed, or two that do not go together.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_own(make_parser(), argv)
    check_rest("compare", rest)
    check_run_flags(flags)
    given = {name: getattr(flags, name) for name in _OTHERS}
    if not any(value is not None for value in given.values()):
        problem = "give what to compare with: another run, or --with_model, or --with_output"
        raise ConfigError("with", None, problem)
    for name, value in given.items():
        if value is not None:
            check_text(name, value)
    if given["with_output"] is not None:
        check_url("with_output", given["with_output"], ())
    if given["with_output_table"] is not None:
        parse_table(given["with_output_table"], "with_output_table")
    if given["with_output"] is not None and given["with_output_table"] is not None:
        raise ConfigError("with_output", given["with_output"], "give a folder or a table")
    flags.limit = _to_count(flags.limit)
    return flags


def make_parser() -> argparse.ArgumentParser:
    """The parser of `compare`."""
    parser = make_run_parser(
        "compare", "Compares two runs, or two models, over the images that both have scored."
    )
    add = parser.add_argument_group("with").add_argument
    add("--with", metavar="ID", help="the other run (with another place: its newest)")
    add("--with_model", metavar="M", help="model of the other; alone: another model of this run")
    add("--with_output", metavar="DIR", help="folder of the other run (the same)")
    add("--with_output_table", metavar="P.D.T", help="or its table")
    parser.add_argument("--limit", default="100", metavar="N", help="images to look at (100)")
    return parser


def _to_count(text: str) -> int:
    try:
        return check_count("limit", int(text))
    except ValueError as error:
        raise ConfigError("limit", text, "allowed: an integer of 1 or more") from error
