"""The flags of `report`."""

import argparse
from collections.abc import Sequence

from imgcls_beam.checks import check_url
from imgcls_beam.errors import ConfigError

from .arguments import parse_own


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `report`.

    Returns:
        `output`, a folder or None; `output_table`, a table or None; `run_id`, `to`, `model`;
        `json`.

    Raises:
        ConfigError: a flag or value that is not allowed, or one that is missing.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_own(make_parser(), argv)
    if rest:
        raise ConfigError("argument", rest[0], "report has no such flag; imgcls report --help")
    for name in ("output", "to"):
        if getattr(flags, name) is not None:
            check_url(name, getattr(flags, name), ())
    if (flags.output is None) == (flags.output_table is None):
        problem = "give the folder of the rows, or --output_table=P.D.T, and not both"
        raise ConfigError("output", flags.output, problem)
    if flags.output is None and flags.to is None:
        raise ConfigError("to", None, "a table has no folder for the report; give --to=FILE")
    return flags


def make_parser() -> argparse.ArgumentParser:
    """The parser of `report`."""
    parser = argparse.ArgumentParser(
        prog="imgcls report",
        description="Writes the report of a finished run: one HTML file that needs no network.",
        epilog="Exit codes: 0 written; 1 failed; 2 wrong usage.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--output", metavar="DIR", help="folder of the rows")
    add("--output_table", metavar="P.D.T", help="BigQuery table of the rows, in place of a folder")
    add("--run_id", metavar="ID", help="of the run (the one that was finished last)")
    add("--to", metavar="FILE", help="path or URL of the file (DIR/reports/ID.html)")
    add("--model", metavar="M", help="id or key of the model, where the run has several")
    add("--json", action="store_true", help="one JSON object on stdout")
    return parser
