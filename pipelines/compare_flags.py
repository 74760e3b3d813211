"""The flags of `compare`."""

import argparse
from collections.abc import Sequence

from imgcls_beam.checks import check_url
from imgcls_beam.errors import ConfigError

from .arguments import parse_own
from .other_run_flags import add_other_flags, check_other_flags, has_other
from .run_flags import check_rest, check_run_flags, make_run_parser, to_count


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `compare`.

    Returns:
        The flags of both runs; `limit`, a count; `to`, text or None.

    Raises:
        ConfigError: a flag or value that is not allowed, or two that do not go together.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_own(make_parser(), argv)
    check_rest("compare", rest)
    check_run_flags(flags)
    if not has_other(flags):
        problem = "give what to compare with: another run, or --with_model, or --with_output"
        raise ConfigError("with", None, problem)
    check_other_flags(flags)
    if flags.to is not None:
        check_url("to", flags.to, ())
    flags.limit = to_count("limit", flags.limit)
    return flags


def make_parser() -> argparse.ArgumentParser:
    """The parser of `compare`."""
    parser = make_run_parser(
        "compare", "Compares two runs, or two models, over the images that both have scored."
    )
    add_other_flags(parser)
    parser.add_argument("--limit", default="100", metavar="N", help="images to look at (100)")
    parser.add_argument("--to", metavar="FILE", help="write it as one HTML page too: path or URL")
    return parser
