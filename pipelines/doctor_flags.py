"""The flags of `doctor`: what `classify` reads, and no more than it needs of the rest."""

import argparse
import dataclasses
from collections.abc import Sequence

from imgcls_beam.checks import check_count
from imgcls_beam.errors import ConfigError
from imgcls_beam.options import OutputOptions

from . import flags as classify_flags
from .arguments import parse_own, suggest, to_int
from .beam_flags import list_beam_names, parse_beam
from .speech import add_speech_flags


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `doctor`.

    Returns:
        `model`, `read`, `decode` as their options; `input` and `output` likewise, or None where
        they are not given; `parity`, a count of images, or None; `beam`, the values of Beam's
        flags, or None where no runner is given.

    Raises:
        ConfigError: a flag or value that is not allowed.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    parser = make_parser()
    flags, rest = parse_own(parser, argv)
    _check_rest(parser, rest, flags.runner)
    has_input = bool(flags.input or flags.requests or flags.input_manifest)
    places = {"jsonl": flags.output_jsonl, "table": flags.output_table}
    has_output = any((flags.output, *places.values()))
    read, decode = classify_flags.to_limits(flags)
    return argparse.Namespace(
        model=classify_flags.to_model(flags),
        read=read,
        decode=dataclasses.replace(decode, preprocess=flags.preprocess),
        input=classify_flags.to_input(flags) if has_input else None,
        output=OutputOptions(flags.output, **places) if has_output else None,
        parity=None if flags.parity is None else _to_count(flags.parity),
        beam=flags.runner and parse_beam([f"--runner={flags.runner}", *rest]),
    )


def make_parser() -> argparse.ArgumentParser:
    """The parser of `doctor`: what `classify` reads, and no more than it needs of the rest."""
    parser = argparse.ArgumentParser(
        prog="imgcls doctor",
        description="Checks machine, model, input and output; compares scores with the reference.",
        epilog="Exit codes: 0 all is well; 1 something is not; 2 wrong usage, "
        "or what is given or set is all that is wrong.",
        allow_abbrev=False,
    )
    classify_flags.add_input_flags(parser)
    classify_flags.add_model_flags(parser)
    group = parser.add_argument_group("output")
    group.add_argument("--output", metavar="DIR", help="folder for Parquet rows")
    group.add_argument("--output_table", metavar="P.D.T", help="BigQuery table for rows")
    group.add_argument("--output_jsonl", metavar="FILE", help="file for responses")
    group = parser.add_argument_group("checks")
    group.add_argument(
        "--parity", metavar="N", help="classify N images with transformers' pipeline too"
    )
    group.add_argument(
        "--runner", metavar="R", help="what a job on it needs, with the flags of Beam for it"
    )
    add_speech_flags(parser)
    return parser


def _check_rest(parser: argparse.ArgumentParser, rest: list[str], runner: str | None) -> None:
    """Refuses flags that are not Beam's; without a runner also those."""
    of_beam = list_beam_names() if runner else frozenset()
    for each in rest:
        name = each.partition("=")[0].lstrip("-")
        if (each.startswith("-") and name not in of_beam) or not runner:
            problem = f"doctor has no such flag; {suggest(each, parser)}"
            raise ConfigError("flag", each, problem)


def _to_count(text: str) -> int:
    return check_count("parity", to_int("parity", text))
