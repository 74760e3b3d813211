"""The flags of `classify` → `JobOptions`, and what is left for Beam."""

import argparse
import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

from imgcls_beam.errors import ConfigError
from imgcls_beam.model_options import DEFAULT_MODEL, DEFAULT_TOP_K, ModelOptions
from imgcls_beam.options import (
    DecodeOptions,
    InputOptions,
    JobOptions,
    ManifestOptions,
    OutputOptions,
    ReadOptions,
    make_run_id,
)

from .arguments import parse_known, to_count, to_float, to_int
from .short_help import ALL, shorten_help
from .speech import add_speech_flags
from .workers import add_worker_flags, apply_gpu

_EXAMPLES = """\
examples:
  imgcls classify --input=photos/ --output=out/ --report
  imgcls classify --input='gs://bucket/**/*.jpg' --output=gs://bucket/labels --top_k=3
  imgcls classify --input=photos/ --output=out/ --dry_run
  imgcls classify --input=photos/ --output=out/ --only=new --run_id='nightly-{run_date}'

"""
EPILOG = """\
Flags that are not ours go to Beam (--runner, --project, --temp_location, …).
Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but above --max_error_ratio.
"""


def parse_flags(argv: Sequence[str]) -> tuple[JobOptions, list[str]]:
    """Parses a command line.

    Args:
        argv: without the program's name.

    Returns:
        The job, and the arguments for Beam.

    Raises:
        ConfigError: a flag or value that is not allowed.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_known(shorten_help(make_parser(), argv), argv)
    return apply_gpu(flags, to_job(flags), rest)


def make_parser() -> argparse.ArgumentParser:
    """The parser of `classify`. It checks names only; values are checked by the options."""
    parser = argparse.ArgumentParser(
        prog="imgcls classify",
        usage="imgcls classify --input=URL --output=DIR [--flag=value …]",
        description="Classifies images of folders, buckets, manifests and requests.",
        epilog=_EXAMPLES + EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(ALL, action="help", help="show every flag and exit")
    add_input_flags(parser)
    add_model_flags(parser)
    _add_output_flags(parser)
    add_worker_flags(parser)
    add_speech_flags(parser)
    parser.add_argument("--dry_run", action="store_true", help="show the first image; write none")
    return parser


def add_input_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what says which images."""
    group = parser.add_argument_group("images")
    add = group.add_argument
    add("--input", action="append", default=[], metavar="URL", help="file, folder, glob, .tar")
    add("--input_manifest", metavar="URL", help="CSV, JSONL, text or Parquet that names images")
    add("--uri_column", metavar="C", help="the manifest's column of image URIs")
    add("--image_column", metavar="C", help="the manifest's Parquet column of images")
    add("--carry_columns", metavar="C,C", help="its columns to copy into attributes")
    add("--manifest_encoding", metavar="E", help="its encoding, such as cp1252 (utf-8)")
    add("--requests", action="append", default=[], metavar="URL", help="JSONL of task requests")
    add("--allow_scheme", action="append", default=[], metavar="S", help="read S:// too")
    add("--limit", metavar="N", help="at most N images")
    add(
        "--allow_empty",
        nargs="?",
        const="true",
        default="false",
        metavar="B",
        help="no images there: a run of 0 images, not an error",
    )
    add("--sample", default="1.0", metavar="R", help="share of the images, 0 to 1, by their URI")
    add("--read_concurrency", metavar="N", help="objects that are read at once (64)")
    add("--read_timeout_s", metavar="S", help="seconds to wait for a silent store (8)")
    add("--max_image_bytes", metavar="N", help="a larger object is an error row")
    add("--max_image_pixels", metavar="N", help="a larger image is an error row")
    add("--max_image_seconds", default="30", metavar="N", help="seconds to decode an image (30)")
    add("--sandbox", default="auto", metavar="W", help="decoder sandbox: auto, require, off")


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what says which model, and how it is asked."""
    group = parser.add_argument_group("model")
    add = group.add_argument
    add(
        "--model",
        default=DEFAULT_MODEL,
        metavar="M",
        help=f"hub id, folder or URL ({DEFAULT_MODEL})",
    )
    add("--revision", metavar="R", help="branch, tag or commit of a hub model")
    add("--weights", default="auto", metavar="W", help="auto; safetensors: no pickle is read")
    add("--function_to_apply", metavar="F", help="sigmoid, softmax, none (the model's own rule)")
    add("--top_k", default=str(DEFAULT_TOP_K), metavar="K", help="labels a row, or all (5)")
    add("--batch_size", default="auto", metavar="N", help="images in a forward pass, or auto")
    add("--device", default="auto", metavar="D", help="auto, cpu, cuda")
    add("--dtype", default="auto", metavar="T", help="auto, float32, bfloat16, float16")
    add("--engine", default="auto", metavar="E", help="auto, torch, openvino, torch.compile")
    add("--threads", default="auto", metavar="N", help="cores of the model on the CPU, or auto")
    add("--dedupe", default="on", metavar="W", help="on: equal images are scored once; off")
    add("--preprocess", default="exact", metavar="P", help="exact: as the model's processor; fast")


def _add_output_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    add = group.add_argument
    add("--output", metavar="DIR", help="folder for Parquet rows, on any file system")
    add("--output_jsonl", metavar="FILE", help="file for responses, a JSON line each")
    add("--output_table", metavar="P.D.T", help="BigQuery table for rows, project.dataset.table")
    add("--run_id", metavar="ID", help="the run's name, e.g. nightly-{run_date}")
    add("--run_date", default="today", metavar="D", help="today, yesterday, YYYY-MM-DD; in UTC")
    add("--if_exists", default="fail", metavar="W", help="same run_id again: fail, replace, append")
    add("--only", default="all", metavar="W", help="all, new (not scored), errors (of --run_id)")
    add("--file_bytes", default=str(128 << 20), metavar="N", help="target size of a Parquet file")
    add("--max_error_ratio", default="0.05", metavar="R", help="above it the exit code is 3 (0.05)")
    add("--compare_with", metavar="M", help="another model, whose rows the run has too")
    add("--report", action="store_true", help="write DIR/reports/ID.html at the end")


def to_job(flags: argparse.Namespace) -> JobOptions:
    """The job that the flags of `classify` name.

    Raises:
        ConfigError: a value that is not allowed, or no output.
    """
    if flags.output is None and flags.output_table is None and flags.output_jsonl is None:
        problem = "give --output=DIR or --output_table=P.D.T for rows, or --output_jsonl=FILE"
        raise ConfigError("output", None, problem)
    run_date = _to_date(flags.run_date)
    run_id = make_run_id() if flags.run_id is None else _to_run_id(flags.run_id, run_date)
    read, decode = to_limits(flags)
    read = dataclasses.replace(read, dedupe=flags.dedupe)
    decode = dataclasses.replace(decode, preprocess=flags.preprocess)
    model, other = to_model(flags), flags.compare_with
    return JobOptions(
        input=to_input(flags),
        model=model,
        output=OutputOptions(
            flags.output,
            run_id=run_id,
            run_date=run_date,
            if_exists=flags.if_exists,
            jsonl=flags.output_jsonl,
            table=flags.output_table,
            only=flags.only,
            file_bytes=to_int("file_bytes", flags.file_bytes),
            report=flags.report,
        ),
        read=read,
        decode=decode,
        max_error_ratio=to_float("max_error_ratio", flags.max_error_ratio),
        compare_with=other and dataclasses.replace(model, model=other, revision=None),
    )


def to_input(flags: argparse.Namespace) -> InputOptions:
    """The images that the flags name."""
    return InputOptions(
        inputs=tuple(flags.input),
        allow_schemes=tuple(flags.allow_scheme),
        limit=to_int("limit", flags.limit) if flags.limit is not None else None,
        sample_ratio=to_float("sample", flags.sample),
        manifest=_to_manifest(flags),
        requests=tuple(flags.requests),
        allow_empty=_to_bool("allow_empty", flags.allow_empty),
    )


def _to_manifest(flags: argparse.Namespace) -> ManifestOptions | None:
    if flags.input_manifest is None:
        for option in ("uri_column", "image_column", "carry_columns", "manifest_encoding"):
            if getattr(flags, option) is not None:
                problem = "it says how to read --input_manifest, which is not given"
                raise ConfigError(option, getattr(flags, option), problem)
        return None
    return ManifestOptions(
        flags.input_manifest,
        uri_column=flags.uri_column,
        image_column=flags.image_column,
        carry_columns=tuple(flags.carry_columns.split(",")) if flags.carry_columns else (),
        encoding="utf-8" if flags.manifest_encoding is None else flags.manifest_encoding,
    )


def to_model(flags: argparse.Namespace) -> ModelOptions:
    """The model that the flags name."""
    return ModelOptions(
        model=flags.model,
        revision=flags.revision,
        top_k=_to_top_k(flags.top_k),
        function_to_apply=flags.function_to_apply,
        device=flags.device,
        dtype=flags.dtype,
        batch_size=to_count("batch_size", flags.batch_size),
        engine=flags.engine,
        threads=to_count("threads", flags.threads),
        weights=flags.weights,
    )


def _to_top_k(text: str) -> int | None:
    """Labels in a row; None for `all`."""
    if text == "all":
        return None
    top_k = to_int("top_k", text)
    if top_k < 1:
        raise ConfigError("top_k", top_k, "allowed: 1 or more, or all")
    return top_k


_READ_COUNTS = {"max_image_bytes": "max_bytes", "read_concurrency": "concurrency"}
_DECODE_COUNTS = {"max_image_pixels": "max_pixels", "max_image_seconds": "max_seconds"}


def to_limits(
    flags: argparse.Namespace,
    read: ReadOptions | None = None,
    decode: DecodeOptions | None = None,
) -> tuple[ReadOptions, DecodeOptions]:
    """The limits of reading and decoding: those of the flags that are given, and else these.

    Args:
        flags: the flags of `classify`, or of `retry`.
        read: what holds where no flag is given; None: our defaults.
        decode: likewise.

    Raises:
        ConfigError: a value that is not allowed.
    """
    given = _to_counts(flags, _READ_COUNTS)
    if flags.read_timeout_s is not None:
        given["timeout_s"] = to_float("read_timeout_s", flags.read_timeout_s, "seconds")
    read = dataclasses.replace(
        read or ReadOptions(), allow_schemes=tuple(flags.allow_scheme), **given
    )
    counts = _to_counts(flags, _DECODE_COUNTS)
    return read, dataclasses.replace(decode or DecodeOptions(), sandbox=flags.sandbox, **counts)


def _to_counts(flags: argparse.Namespace, fields: dict[str, str]) -> dict[str, Any]:
    """Of the flags that were given, by the names of their fields."""
    given = {flag: getattr(flags, flag) for flag in fields}
    return {fields[flag]: to_int(flag, text) for flag, text in given.items() if text is not None}


def _to_bool(option: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ConfigError(option, text, "allowed: true, false")
    return text.lower() == "true"


def _to_date(text: str) -> datetime.date:
    today = datetime.datetime.now(datetime.UTC).date()
    if text in ("today", "yesterday"):
        return today - datetime.timedelta(days=int(text == "yesterday"))
    problem = "allowed: today, yesterday, YYYY-MM-DD"
    try:
        run_date = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError("run_date", text, problem) from error
    if run_date.isoformat() != text:  # 20261122 and 2026-W47-7 are ISO's, too
        raise ConfigError("run_date", text, problem)
    return run_date


def _to_run_id(template: str, run_date: datetime.date) -> str:
    """`nightly-{run_date}` → `nightly-2026-11-23`; other braces stay, and no run id has them."""
    return template.replace("{run_date}", run_date.isoformat())
