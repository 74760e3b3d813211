"""The flags of `review`."""

import argparse
from collections.abc import Sequence

from imgcls_beam.checks import check_text, check_url
from imgcls_beam.errors import ConfigError

from .arguments import parse_own
from .other_run_flags import add_other_flags, check_other_flags
from .run_flags import check_rest, check_run_flags, make_run_parser, to_count

FORMATS = ("csv", "label_studio", "fiftyone")
"""Flags that name a file to write."""


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `review`.

    Returns:
        The flags of a run and of another; `budget`, a count; `truth_column`, `truth_file`, `csv`,
        `label_studio`, `fiftyone`, text or None.

    Raises:
        ConfigError: a flag or value that is not allowed, or two that do not go together.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_own(make_parser(), argv)
    check_rest("review", rest)
    check_run_flags(flags)
    check_other_flags(flags)
    flags.budget = to_count("budget", flags.budget)
    if flags.truth_column is not None:
        check_text("truth_column", flags.truth_column)
    if flags.truth_column is not None and flags.truth_file is not None:
        raise ConfigError("truth_file", flags.truth_file, "give it or --truth_column")
    for name in ("truth_file", *FORMATS):
        if getattr(flags, name) is not None:
            check_url(name, getattr(flags, name), ())
    return flags


def make_parser() -> argparse.ArgumentParser:
    """The parser of `review`."""
    parser = make_run_parser(
        "review", "Chooses the images whose labelling helps most, and writes them for tools."
    )
    parser.add_argument("--budget", default="200", metavar="N", help="how many images (200)")
    add = parser.add_argument_group("files, which must be new").add_argument
    add("--csv", metavar="FILE", help="a table, whose column truth is to be filled in")
    add("--label_studio", metavar="FILE", help="tasks of Label Studio, JSON")
    add("--fiftyone", metavar="DIR", help="a data set of FiftyOne: data.json and labels.json")
    add_other_flags(parser)
    add = parser.add_argument_group("known already, and left out").add_argument
    add("--truth_column", metavar="C", help="carried column that has the truth of some images")
    add("--truth_file", metavar="FILE", help="or a file that has it, as imgcls evaluate reads it")
    return parser
