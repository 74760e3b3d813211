"""The flags of `sql`."""

import argparse
import sys
from collections.abc import Sequence

from imgcls_beam.bigquery import parse_table
from imgcls_beam.checks import check_choice, check_text, check_url
from imgcls_beam.errors import ConfigError

from .arguments import parse_own
from .speech import add_speech_flags

DIALECTS = ("duckdb", "bigquery")
FORMATS = ("table", "csv", "json")


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `sql`, and reads the query where it is on standard input.

    Returns:
        `query`, None where the views are to be printed; `dialect`; `output`, a folder or None;
        `table`, a `TableName` or None; `format`; `truth_column`, text or None.

    Raises:
        ConfigError: a flag or value that is not allowed, or two that do not go together.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_own(make_parser(), argv)
    if rest:
        raise ConfigError("argument", rest[0], "sql has no such flag, and one query in quotes")
    if flags.output is not None:
        check_url("output", flags.output, ())
    table = None if flags.output_table is None else parse_table(flags.output_table)
    checked = argparse.Namespace(
        query=_read_query(flags.query),
        dialect=check_choice("dialect", flags.dialect or _guess_dialect(flags), DIALECTS),
        output=flags.output,
        table=table,
        format=check_choice("format", flags.format or FORMATS[0], FORMATS),
        truth_column=flags.truth_column,
    )
    if flags.truth_column is not None:
        check_text("truth_column", flags.truth_column)
    _check_together(checked)
    if flags.format is not None and checked.query is None:
        raise ConfigError("format", flags.format, "it is for a query's answer; give a query")
    return checked


def make_parser() -> argparse.ArgumentParser:
    """The parser of `sql`."""
    parser = argparse.ArgumentParser(
        prog="imgcls sql",
        description="Asks finished runs of an output folder, or prints the views for a warehouse.",
        epilog="Relations: predictions, prediction_runs, predictions_latest, predictions_current, "
        "prediction_labels, prediction_errors, model_compare. "
        "Exit codes: 0 done; 1 the query failed; 2 wrong usage.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("query", nargs="?", metavar="QUERY", help="in quotes; - reads it from standard input")
    add("--output", metavar="DIR", help="folder of the rows")
    add("--format", metavar="F", help="table, csv, json: an object a line (table)")
    add("--dialect", metavar="D", help="duckdb, bigquery: of the views that are printed")
    add("--output_table", metavar="P.D.T", help="BigQuery table that the views are beside")
    add("--truth_column", metavar="C", help="carried column of true labels, for evaluation_…")
    add_speech_flags(parser)
    return parser


def _read_query(query: str | None) -> str | None:
    if query is None:
        return None
    text = sys.stdin.read() if query == "-" else query
    if not text.strip():
        raise ConfigError("query", text, "give a query, or none to print the views")
    return text


def _guess_dialect(flags: argparse.Namespace) -> str:
    return DIALECTS[flags.output_table is not None]


def _check_together(asked: argparse.Namespace) -> None:
    """Refuses what would be left aside in silence.

    Raises:
        ConfigError: two flags that do not go together.
    """
    if asked.query is not None and asked.dialect != "duckdb":
        problem = "a query is run over an output folder, by DuckDB; give --output=DIR and no table"
        raise ConfigError("dialect", asked.dialect, problem)
    if asked.query is not None and asked.output is None:
        raise ConfigError("output", None, "give the folder of the rows to ask")
    if asked.dialect == "bigquery" and asked.output is not None:
        raise ConfigError("output", asked.output, "BigQuery has tables; give --output_table=P.D.T")
    if asked.dialect == "duckdb" and asked.table is not None:
        problem = "DuckDB reads a folder; give --output=DIR"
        raise ConfigError("output_table", str(asked.table), problem)
