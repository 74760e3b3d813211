"""The flags of `doctor`: every flag of `classify`, and what is to be checked beside them."""

import argparse
from collections.abc import Sequence

from imgcls_beam.checks import check_count
from imgcls_beam.errors import ConfigError
from imgcls_beam.options import JobOptions

from . import flags as classify_flags
from .arguments import parse_known, to_int
from .beam_flags import list_beam_names, parse_beam
from .runners import PORTABLE_RUNNERS, find_runner
from .workers import apply_gpu

_EPILOG = """\
Every flag of classify is taken, so that the command line of a job can be checked as it is.
Exit codes: 0 all is well; 1 something is not; 2 wrong usage, or what is given or set is all that
is wrong.
"""
_INPUTS = ("input", "requests", "input_manifest")
_OUTPUTS = ("output", "output_jsonl", "output_table")
_PLACE = "not-given"


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `doctor`.

    Returns:
        `models`, `read`, `decode` as their options; `input` and `output` likewise, or None where
        they are not given; `model`, the first of the models; `parity`, a count of images, or None;
        `beam`, the values of Beam's flags, or None where no runner is given.

    Raises:
        ConfigError: a flag or value that is not allowed, here or in a job.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_known(make_parser(), argv)
    if find_runner(flags.runner) not in PORTABLE_RUNNERS:  # a job service has flags of its own
        _refuse_unknown(rest)
    rest = [f"--runner={flags.runner}", *rest] if flags.runner else rest
    has_input, has_output = (any(map(vars(flags).get, names)) for names in (_INPUTS, _OUTPUTS))
    job, rest = _check_job(flags, rest, has_input=has_input, has_output=has_output)
    return argparse.Namespace(
        model=job.model,
        models=job.models,
        read=job.read,
        decode=job.decode,
        input=job.input if has_input else None,
        output=job.output if has_output else None,
        parity=None if flags.parity is None else _to_count(flags.parity),
        beam=parse_beam(rest) if flags.runner else None,
    )


def _refuse_unknown(rest: Sequence[str]) -> None:
    """Refuses a flag that a job would pass on, and Beam would drop in silence.

    Raises:
        ConfigError: neither `classify` nor Beam has such a flag.
    """
    known = list_beam_names()
    for each in rest:
        name = each.partition("=")[0].lstrip("-").replace("-", "_")
        if each.startswith("-") and not {name, name.removeprefix("no_")} & known:
            problem = "neither classify nor Beam has such a flag; see imgcls classify --help_all"
            raise ConfigError("flag", each, problem)


def _check_job(
    flags: argparse.Namespace, rest: list[str], *, has_input: bool, has_output: bool
) -> tuple[JobOptions, list[str]]:
    """The job of the flags, with places for those that are not given, and Beam's arguments.

    Its device is the one that is asked for on this machine: `--gpu` speaks of workers elsewhere.

    Raises:
        ConfigError: a value that `classify` would refuse.
    """
    if not has_input:
        flags.input = [_PLACE]
    if not has_output:
        flags.output = _PLACE
    job = classify_flags.to_job(flags)
    return job, apply_gpu(flags, job, rest)[1]


def make_parser() -> argparse.ArgumentParser:
    """The parser of `doctor`."""
    parser = classify_flags.make_parser()
    parser.prog = "imgcls doctor"
    parser.usage = "imgcls doctor [--input=URL] [--output=DIR] [--parity=N] [--flag=value …]"
    parser.description = (
        "Checks machine, model, input and output; compares scores with the reference."
    )
    parser.epilog = _EPILOG
    group = parser.add_argument_group("checks")
    group.add_argument(
        "--parity", metavar="N", help="classify N images with transformers' pipeline too"
    )
    group.add_argument(
        "--runner", metavar="R", help="what a job on it needs, with the flags of Beam for it"
    )
    return parser


def _to_count(text: str) -> int:
    return check_count("parity", to_int("parity", text))
