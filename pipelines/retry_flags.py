"""The flags of `retry`, and the record of the run → `JobOptions`, and what is left for Beam."""

import argparse
import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgcls_beam.errors import ConfigError
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.options import (
    DecodeOptions,
    InputOptions,
    JobOptions,
    ManifestOptions,
    OutputOptions,
    ReadOptions,
)

from . import flags as classify_flags
from .arguments import parse_known, to_count, to_float
from .speech import add_speech_flags
from .workers import add_worker_flags, apply_gpu

if TYPE_CHECKING:
    from imgcls_beam.sinks import RunRecord

_COMMIT = re.compile("[0-9a-f]{40}")


def parse_flags(argv: Sequence[str]) -> tuple[JobOptions, list[str]]:
    """Parses a command line, and reads the record of the run that it names.

    Args:
        argv: without the program's name.

    Returns:
        The job, and the arguments for Beam.

    Raises:
        ConfigError: a flag or value that is not allowed, or a run that is not there.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_known(make_parser(), argv)
    for name in ("output", "run_id"):
        if getattr(flags, name) is None:
            raise ConfigError(name, None, "give the folder of the rows, and the run to try again")
    output = OutputOptions(
        flags.output, run_id=flags.run_id, table=flags.output_table, only="errors"
    )
    _check_values(flags, rest, output)
    return apply_gpu(flags, _to_job(_read_record(flags), flags, output), rest)


def _check_values(flags: argparse.Namespace, rest: Sequence[str], output: OutputOptions) -> None:
    """Refuses what is wrong whatever the record says, before anything is opened to read it.

    Raises:
        ConfigError: a value that is not allowed.
    """
    images = InputOptions(inputs=("of the run",), allow_schemes=tuple(flags.allow_scheme))
    max_error_ratio = to_float("max_error_ratio", flags.max_error_ratio)
    limits = classify_flags.to_limits(flags)
    model = _ask_otherwise(ModelOptions(), flags)
    apply_gpu(flags, JobOptions(images, model, output, *limits, max_error_ratio), rest)


def _read_record(flags: argparse.Namespace) -> "RunRecord":
    """The record of the run.

    Raises:
        ConfigError: there is none, or it does not say how to try again.
    """
    from imgcls_beam.sinks import locate_record, read_record
    from imgcls_beam.stores import check_store, refuse_store_faults

    check_store("output", flags.output)
    with refuse_store_faults("output", flags.output):
        try:
            record = read_record(locate_record(flags.output, flags.run_id))
        except FileNotFoundError as error:
            problem = f"there is no such run below {flags.output}"
            raise ConfigError("run_id", flags.run_id, problem) from error
        except ValueError as error:
            raise ConfigError("run_id", flags.run_id, "its record cannot be read") from error
    if record.model is None:
        problem = "it has no model or several; retry those by the pipeline that wrote it"
        raise ConfigError("run_id", flags.run_id, problem)
    return record


def make_parser() -> argparse.ArgumentParser:
    """The parser of `retry`: the run, and what may have made its images fail."""
    parser = argparse.ArgumentParser(
        prog="imgcls retry",
        description="Tries again what failed in a published run.",
        epilog=classify_flags.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument_group("run").add_argument
    add("--output", metavar="DIR", help="folder of the rows")
    add("--run_id", metavar="ID", help="the run to try again")
    add("--output_table", metavar="P.D.T", help="BigQuery table that has the rows too")
    add = parser.add_argument_group("limits").add_argument
    add("--allow_scheme", action="append", default=[], metavar="S", help="read S:// too")
    add("--read_concurrency", metavar="N", help="objects that are read at once (as the run)")
    add("--read_timeout_s", metavar="S", help="seconds to wait for a silent store (as the run)")
    add("--max_image_bytes", metavar="N", help="a larger object is an error row (as the run)")
    add("--max_image_pixels", metavar="N", help="a larger image is an error row (as the run)")
    add("--max_image_seconds", metavar="N", help="seconds to decode an image (as the run)")
    add("--sandbox", default="auto", metavar="W", help="decoder sandbox: auto, require, off (auto)")
    add("--batch_size", metavar="N", help="images in a forward pass, or auto (as the run)")
    add("--device", metavar="D", help="auto, cpu, cuda (as the run)")
    add("--max_error_ratio", default="0.05", metavar="R", help="of the whole run; else exit 3")
    add_worker_flags(parser)
    add_speech_flags(parser)
    return parser


def _to_job(record: "RunRecord", flags: argparse.Namespace, output: OutputOptions) -> JobOptions:
    try:
        images = _to_input(record.configuration["input"], flags)
        model = _to_model(record, flags)
        limits = _to_limits(record.configuration)
    except (KeyError, TypeError, AttributeError) as error:
        problem = "its record does not say how it was run; use imgcls classify --only=errors"
        raise ConfigError("run_id", record.run_id, problem) from error
    flags.allow_scheme = list(images.allow_schemes)
    read, decode = classify_flags.to_limits(flags, *limits)
    decode = dataclasses.replace(decode, preprocess=record.models[0].preprocess)
    max_error_ratio = to_float("max_error_ratio", flags.max_error_ratio)
    return JobOptions(images, model, output, read, decode, max_error_ratio)


def _to_limits(configuration: Mapping[str, Any]) -> tuple[ReadOptions, DecodeOptions]:
    """How the run read and decoded; our defaults for what its record does not say."""
    return (
        ReadOptions(**_take_fields(ReadOptions, configuration.get("read", {}))),
        DecodeOptions(**_take_fields(DecodeOptions, configuration.get("decode", {}))),
    )


def _take_fields(options: type, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of options; another version's record may say more."""
    names = {field.name for field in dataclasses.fields(options)}
    return {name: value for name, value in recorded.items() if name in names}


def _to_input(fields: Mapping[str, Any], flags: argparse.Namespace) -> InputOptions:
    """What the run listed; every image of it, for what is taken is decided by the error rows."""
    manifest = fields["manifest"]
    if manifest is not None:
        carried = tuple(manifest["carry_columns"])
        manifest = ManifestOptions(**{**manifest, "carry_columns": carried})
    return InputOptions(
        inputs=tuple(fields["inputs"]),
        allow_schemes=(*fields["allow_schemes"], *flags.allow_scheme),
        manifest=manifest,
        requests=tuple(fields["requests"]),
    )


def _to_model(record: "RunRecord", flags: argparse.Namespace) -> ModelOptions:
    """The run's model at the run's commit, whatever its branch has become."""
    model = ModelOptions(**record.configuration["model"])
    revision = record.models[0].revision
    if _COMMIT.fullmatch(revision):
        model = dataclasses.replace(model, revision=revision)
    return _ask_otherwise(model, flags)


def _ask_otherwise(model: ModelOptions, flags: argparse.Namespace) -> ModelOptions:
    """The model as these flags ask it; as the run did where they are not given."""
    if flags.device is not None:
        model = dataclasses.replace(model, device=flags.device)
    if flags.batch_size is not None:
        batch_size = to_count("batch_size", flags.batch_size)
        model = dataclasses.replace(model, batch_size=batch_size)
    return model
