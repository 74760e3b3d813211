"""Help that fits a screen: what most commands have, and where the rest is."""

import argparse
from collections.abc import Sequence

ALL = "--help_all"
_ASKS = frozenset(("-h", "--help"))
_SHOWN = frozenset(
    (
        *("help", "help_all", "dry_run", "json", "report"),
        *("input", "input_manifest", "uri_column", "carry_columns", "requests", "limit"),
        *("model", "function_to_apply", "top_k", "engine", "preprocess"),
        *("output", "output_table", "output_jsonl", "run_id", "if_exists", "only"),
    )
)


def shorten_help(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.ArgumentParser:
    """Leaves out of `--help` what few commands have; `--help_all` shows every flag."""
    if not _ASKS.isdisjoint(argv):
        for action in parser._actions:
            if action.dest not in _SHOWN:
                action.help = argparse.SUPPRESS
    return parser
