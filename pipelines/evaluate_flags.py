"""The flags of `evaluate`."""

import argparse
from collections.abc import Sequence

from imgcls_beam.checks import check_number, check_text, check_url
from imgcls_beam.errors import ConfigError

from .arguments import parse_own
from .run_flags import check_rest, check_run_flags, make_run_parser

_ONE_TRUTH = "name the carried column that has the truth, or give --truth_file; one of the two"


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `evaluate`.

    Returns:
        The flags of a run; `truth_column`, `truth_file`, `truth_mapping`, text or None;
        `wanted_precision`, `wanted_recall`, a number or None.

    Raises:
        ConfigError: a flag or value that is not allowed, or two that do not go together.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_own(make_parser(), argv)
    check_rest("evaluate", rest)
    check_run_flags(flags)
    if not has_truth(flags):
        raise ConfigError("truth_column", None, _ONE_TRUTH)
    check_truth_flags(flags)
    return flags


def has_truth(flags: argparse.Namespace) -> bool:
    """Whether the flags name a truth."""
    return flags.truth_column is not None or flags.truth_file is not None


def check_truth_flags(flags: argparse.Namespace) -> None:
    """Checks the flags of a truth, which need not be there, and opens nothing; ratios are numbers.

    Raises:
        ConfigError: a value that cannot be one, or two that do not go together.
    """
    if None not in (flags.truth_column, flags.truth_file):
        raise ConfigError("truth_column", flags.truth_column, _ONE_TRUTH)
    for name in ("truth_mapping", "wanted_precision", "wanted_recall"):
        if getattr(flags, name) is not None and not has_truth(flags):
            raise ConfigError(name, getattr(flags, name), _ONE_TRUTH)
    if flags.truth_column is not None:
        check_text("truth_column", flags.truth_column)
    for name in ("truth_file", "truth_mapping"):
        if getattr(flags, name) is not None:
            check_url(name, getattr(flags, name), ())
    for name in ("wanted_precision", "wanted_recall"):
        setattr(flags, name, _to_ratio(name, getattr(flags, name)))
    if None not in (flags.wanted_precision, flags.wanted_recall):
        problem = "a threshold is chosen for one of the two; give one"
        raise ConfigError("wanted_recall", flags.wanted_recall, problem)


def make_parser() -> argparse.ArgumentParser:
    """The parser of `evaluate`."""
    parser = make_run_parser(
        "evaluate",
        "Holds a run against the truth: accuracy, labels, confusions, calibration, thresholds.",
    )
    add_truth_flags(parser)
    return parser


def add_truth_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of a truth, and of what thresholds are chosen for."""
    add = parser.add_argument_group("truth").add_argument
    add("--truth_column", metavar="C", help="carried column that has the label or class id")
    add("--truth_file", metavar="FILE", help="or a file: of imgcls review, Label Studio, FiftyOne")
    add("--truth_mapping", metavar="FILE", help="CSV or JSON: from its values to labels")
    add = parser.add_argument_group("thresholds").add_argument
    add("--wanted_precision", metavar="P", help="for this precision, instead of the best F1")
    add("--wanted_recall", metavar="R", help="for this recall")


def _to_ratio(name: str, text: str | None) -> float | None:
    """A number above 0, up to 1; None where it is not given."""
    if text is None:
        return None
    try:
        found = check_number(name, float(text), 0.0, 1.0)
    except ValueError as error:
        raise ConfigError(name, text, "allowed: a number above 0, up to 1") from error
    if found == 0.0:
        raise ConfigError(name, text, "allowed: a number above 0, up to 1")
    return found
