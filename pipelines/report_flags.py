"""The flags of `report`."""

import argparse
from collections.abc import Sequence

from imgcls_beam.checks import check_url
from imgcls_beam.errors import ConfigError

from .arguments import parse_own
from .evaluate_flags import add_truth_flags, check_truth_flags
from .other_run_flags import add_other_flags, check_other_flags
from .run_flags import check_rest, check_run_flags, make_run_parser


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `report`.

    Returns:
        The flags of a run, of another one to compare with, and of a truth; `to`, text or None.

    Raises:
        ConfigError: a flag or value that is not allowed, or one that is missing.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_own(make_parser(), argv)
    check_rest("report", rest)
    check_run_flags(flags)
    check_other_flags(flags)
    check_truth_flags(flags)
    if flags.to is not None:
        check_url("to", flags.to, ())
    elif flags.output is None:
        raise ConfigError("to", None, "a table has no folder for the report; give --to=FILE")
    return flags


def make_parser() -> argparse.ArgumentParser:
    """The parser of `report`."""
    description = "Writes the report of a finished run: one HTML file that needs no network."
    parser = make_run_parser("report", description)
    add_other_flags(parser)
    add_truth_flags(parser)
    add = parser.add_argument_group("report").add_argument
    add("--to", metavar="FILE", help="path or URL of the file (DIR/reports/ID.html)")
    return parser
