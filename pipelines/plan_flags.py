"""The flags of `plan`: those of `classify`, and what a machine costs."""

import argparse
import math
import pathlib
import tempfile
import uuid
from collections.abc import Iterator, Sequence

from imgcls_beam.accelerators import NO_GPU, check_gpu
from imgcls_beam.checks import check_number
from imgcls_beam.errors import ConfigError

from . import flags as classify_flags
from .arguments import parse_known
from .beam_flags import parse_beam
from .runners import find_runner, goes_on_alone
from .workers import apply_gpu

_EPILOG = """\
Every flag of classify is taken, and Beam's --num_workers; nothing is written.
Exit codes: 0 done; 1 failed; 2 wrong usage.
"""
_OUTPUTS = ("output", "output_jsonl", "output_table")


def parse_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line of `plan`.

    Returns:
        `job`, as it would be run; `has_output`, whether one was given: else the job's is a folder
        that there is not; `beam_arguments`; `start_flags`, of a run of one image of the same input
        and model; `gpu`, `num_workers` and `price_per_hour`, None where they are not given.

    Raises:
        ConfigError: a flag or value that is not allowed.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_known(make_parser(), argv)
    has_output = any(getattr(flags, name) is not None for name in _OUTPUTS)
    if not has_output and flags.only != "all":
        problem = "it asks what a table holds; give --output=DIR or --output_table"
        raise ConfigError("only", flags.only, problem)
    if not has_output:
        flags.output = str(pathlib.Path(tempfile.gettempdir(), f"imgcls-plan-{uuid.uuid4().hex}"))
    if flags.dry_run:
        problem = (
            "a plan writes nothing in any case; imgcls classify --dry_run shows the first image"
        )
        raise ConfigError("dry_run", True, problem)
    job, beam = classify_flags.to_job(flags), parse_beam(rest)
    if job.compare_with is not None:
        problem = "a plan looks at one model; leave it out, and plan the other one by itself"
        raise ConfigError("compare_with", flags.compare_with, problem)
    return argparse.Namespace(
        job=job,
        has_output=has_output,
        beam_arguments=_check_workers(flags, rest),
        start_flags=[*_list_same(flags), *([] if _is_elsewhere(beam) else rest)],
        gpu=None if flags.gpu == NO_GPU else flags.gpu,
        num_workers=beam.num_workers,
        price_per_hour=_to_price(flags.price_per_hour),
    )


def make_parser() -> argparse.ArgumentParser:
    """The parser of `plan`."""
    parser = classify_flags.make_parser()
    parser.prog = "imgcls plan"
    parser.usage = "imgcls plan --input=URL [--output=DIR] [--price_per_hour=P] [--flag=value …]"
    parser.description = "Says what a job would do, from its listing and a probe of 32 images."
    parser.epilog = _EPILOG
    add = parser.add_argument_group("plan").add_argument
    add("--price_per_hour", metavar="P", help="of one machine: the plan says the cost")
    return parser


def _check_workers(flags: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    """Beam's arguments, with those that a GPU brings where the runner is Dataflow.

    Raises:
        ConfigError: what `classify` would refuse too; a GPU needs no runner here.
    """
    if flags.gpu != NO_GPU and not _is_elsewhere(parse_beam(rest)):
        check_gpu(flags.gpu, flags.gpu_stages)
        return list(rest)
    return apply_gpu(flags, classify_flags.to_job(flags), rest)[1]


def _is_elsewhere(beam: argparse.Namespace) -> bool:
    """Whether a job would not run on this machine's own runner."""
    name = find_runner(beam.runner)
    return goes_on_alone(name) or ("direct" not in name.lower() and name != "FnApiRunner")


def _list_same(flags: argparse.Namespace) -> Iterator[str]:
    """The flags that say which images and which model, as they were given, and what a run adds."""
    parser = argparse.ArgumentParser(add_help=False)
    classify_flags.add_input_flags(parser)
    classify_flags.add_model_flags(parser)
    for action in parser._actions:
        value = getattr(flags, action.dest)
        values = value if isinstance(value, list) else [value]
        if action.dest != "limit":
            yield from (f"--{action.dest}={each}" for each in values if each is not None)
    # What takes time at any size: looking for earlier rows, here in an empty folder, and the page.
    yield from ["--only=new"] if flags.only == "new" else []
    yield from ["--report"] if flags.report else []


def _to_price(text: str | None) -> float | None:
    """A price.

    Raises:
        ConfigError: the text is none.
    """
    if text is None:
        return None
    try:
        price = float(text)
    except ValueError as error:
        problem = "allowed: a number, of any currency"
        raise ConfigError("price_per_hour", text, problem) from error
    if not math.isfinite(price):
        raise ConfigError("price_per_hour", text, "allowed: a number, of any currency")
    return check_number("price_per_hour", price, 0, 1e6)
