"""What a job is asked to do: frozen dataclasses that check themselves.

Nothing here touches a file or the network. A value that is not allowed raises `ConfigError` with
the option's name as it is spelled on the command line.
"""

import dataclasses
import datetime
import re
import uuid
from collections.abc import Sequence
from typing import Literal, get_args

from imgcls_beam.checks import (
    check_choice,
    check_count,
    check_encoding,
    check_number,
    check_text,
    check_type,
    check_url,
)
from imgcls_beam.errors import ConfigError
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.scoring import Preprocess

IfExists = Literal["fail", "replace", "append"]
Only = Literal["all", "new", "errors"]
Dedupe = Literal["on", "off"]
Sandbox = Literal["auto", "require", "off"]
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MIB = 1 << 20


def make_run_id() -> str:
    """A run id that says when, and is unique: `20261123T014500Z-1f3a9c`."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


@dataclasses.dataclass(frozen=True, slots=True)
class ManifestOptions:
    """A table that names images, or holds them.

    Attributes:
        url: a CSV, JSONL, text or Parquet file, a folder of such files, or `bq:` and a table.
        uri_column: the column that names the images; None for a text file, whose lines do.
        image_column: in place of it, the Parquet column that holds images: binary, or a struct
            with a binary `bytes`.
        carry_columns: come back in the rows' `attributes`; `a.b` is a field of a struct.
        encoding: of lines that are neither UTF-8 nor have a byte order mark, by Python's name.
    """

    url: str
    uri_column: str | None = None
    image_column: str | None = None
    carry_columns: tuple[str, ...] = ()
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a value that is not allowed."""
        check_text("input_manifest", self.url)
        for option in ("uri_column", "image_column"):
            if getattr(self, option) is not None:
                check_text(option, getattr(self, option))
        if self.uri_column is not None and self.image_column is not None:
            problem = "give it or uri_column: an image is named or held"
            raise ConfigError("image_column", self.image_column, problem)
        if not isinstance(self.carry_columns, tuple | list):
            raise ConfigError("carry_columns", self.carry_columns, "give a tuple of texts")
        for name in self.carry_columns:
            check_text("carry_columns", name)
        check_encoding("manifest_encoding", self.encoding)


@dataclasses.dataclass(frozen=True, slots=True)
class InputOptions:
    """What is to be classified; at least one of inputs, manifest and requests.

    Attributes:
        inputs: files, folders, prefixes or globs on file systems that fsspec knows.
        allow_schemes: schemes that may be read beside `checks.SCHEMES`.
        limit: at most so many images, as they are listed; None for all.
        sample_ratio: the share of images to take, by their URI; 1.0 for all.
        manifest: a table of images.
        requests: JSONL files, folders or globs, each line a request of the task.
        own_output: URLs of files and folders (`…/`) where this job writes, which no folder and no
            glob takes. The program fills it in.
        allow_empty: whether a source that names nothing is a run of 0 images, a folder of a bucket
            included; a file that is not there is an error in any case.
    """

    inputs: tuple[str, ...] = ()
    allow_schemes: tuple[str, ...] = ()
    limit: int | None = None
    sample_ratio: float = 1.0
    manifest: ManifestOptions | None = None
    requests: tuple[str, ...] = ()
    own_output: tuple[str, ...] = ()
    allow_empty: bool = False

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a value that is not allowed."""
        if not (self.inputs or self.requests or self.manifest):
            raise ConfigError("input", (), "give at least one file, folder or pattern")
        for option, urls in (("input", self.inputs), ("requests", self.requests)):
            if not isinstance(urls, tuple | list):  # a text is a tuple of its letters
                raise ConfigError(option, urls, "give a tuple of texts")
            for url in urls:
                check_url(option, url, self.allow_schemes)
        if self.manifest is not None:
            check_url("input_manifest", self.manifest.url, self.allow_schemes)
        if self.limit is not None:
            check_count("limit", self.limit)
        if check_number("sample", self.sample_ratio, 0, 1) == 0:
            raise ConfigError("sample", self.sample_ratio, "allowed: more than 0, at most 1")


def to_input_options(inputs: "str | Sequence[str] | InputOptions") -> InputOptions:
    """What `ListImages` was given: options, one URL or several.

    Raises:
        ConfigError: something else, or a URL that is not allowed.
    """
    if isinstance(inputs, InputOptions):
        return inputs
    check_type("inputs", inputs, (str, tuple, list), "a URL, several of them, or InputOptions")
    return InputOptions((inputs,) if isinstance(inputs, str) else tuple(inputs))


@dataclasses.dataclass(frozen=True, slots=True)
class ReadOptions:
    """How objects are read.

    Attributes:
        max_bytes: a larger object is a failure, not read.
        tries: how often an object is tried while its fault looks passing. With twelve, one in
            1,900,000 is lost where three in ten requests fail.
        retry_s: after the first try, how long others may begin.
        first_wait_s: before the second try; then twice as long each time, up to 4 s, or at first
            up to 0.3 s while the store answers others at once.
        timeout_s: without a byte of an answer, after which a try is given up.
        concurrency: objects of one batch in flight at once.
        batch_bytes: objects are read in batches of about so many bytes.
        allow_schemes: schemes that may be read beside `checks.SCHEMES`.
        dedupe: `on`: references to one object share its bytes, images of the same bytes their
            scores, which their rows say; `off`: each is looked at alone.
    """

    max_bytes: int = 64 * _MIB
    tries: int = 12
    retry_s: float = 35.0
    first_wait_s: float = 0.5
    timeout_s: float = 8.0
    concurrency: int = 64
    batch_bytes: int = 32 * _MIB
    allow_schemes: tuple[str, ...] = ()
    dedupe: Dedupe = "on"

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a count below 1, a wait below 0 or above an hour."""
        check_choice("dedupe", self.dedupe, get_args(Dedupe))
        check_count("max_image_bytes", self.max_bytes)
        for name, low in (("first_wait_s", 0), ("retry_s", 0), ("timeout_s", 0.1)):
            check_number(f"read_{name}", getattr(self, name), low, 3600)
        for name in ("tries", "concurrency", "batch_bytes"):
            check_count(f"read_{name}", getattr(self, name))


@dataclasses.dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How an image is decoded and prepared, and how far it may go.

    Attributes:
        max_pixels: 64 Mi of them take up to 1 GB while they are decoded.
        max_scans: of a JPEG. Real files have up to 20; a hostile one took 24 s.
        preprocess: `exact`: as the model's own image processor; `fast`: near it, and faster.
        sandbox: who decodes. `auto`: locked processes, or this one where there can be none;
            `require`: processes that are locked in every way; `off`: this one.
        max_seconds: of a core, for an image in the sandbox; by the clock twice as many.
    """

    max_pixels: int = 64 * _MIB
    max_scans: int = 100
    preprocess: Preprocess = "exact"
    sandbox: Sandbox = "auto"
    max_seconds: int = 30

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a value that is not allowed."""
        check_count("max_image_pixels", self.max_pixels)
        check_count("max_jpeg_scans", self.max_scans)
        check_choice("preprocess", self.preprocess, get_args(Preprocess))
        check_choice("sandbox", self.sandbox, get_args(Sandbox))
        check_count("max_image_seconds", self.max_seconds)


@dataclasses.dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where rows go, and under which name.

    Attributes:
        output: folder for rows, on any file system that fsspec knows; None for no rows.
        run_id: name of this run: letters, digits, `.`, `_`, `-`.
        run_date: the day to which the rows belong.
        if_exists: what to do where the run id has been published: `fail` refuses, `replace` puts
            the new rows in the place of all others, `append` adds images that it does not hold.
        session_id: of this start of the program; names its staging folder.
        jsonl: file for the task's responses, a JSON line each.
        table: BigQuery table for the rows, `project.dataset.table`.
        only: of the listed images: `all`; `new`: without a good row of the same version, model and
            parameters; `errors`: failed in the run of this id, whose error rows are replaced.
        file_bytes: of a published file, about; a small run has one file.
        is_scratch: whether the folder is there for the load into `table` alone, and goes then.
        report: whether the program writes one into the folder when it is done.
    """

    output: str | None
    run_id: str = dataclasses.field(default_factory=make_run_id)
    run_date: datetime.date = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC).date()
    )
    if_exists: IfExists = "fail"
    session_id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    jsonl: str | None = None
    table: str | None = None
    only: Only = "all"
    file_bytes: int = 128 * _MIB
    is_scratch: bool = False
    report: bool = False

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a value that is not allowed."""
        if self.output is not None or (self.jsonl is None and self.table is None):
            check_url("output", self.output, ())
        if self.jsonl is not None:
            check_url("output_jsonl", self.jsonl, ())
        if not isinstance(self.run_id, str) or not _RUN_ID.fullmatch(self.run_id):
            problem = "allowed: up to 128 letters, digits, dots, underscores and hyphens"
            raise ConfigError("run_id", self.run_id, problem)
        if type(self.run_date) is not datetime.date:  # a datetime is one, and names other folders
            raise ConfigError("run_date", self.run_date, "allowed: a date without a time")
        check_choice("if_exists", self.if_exists, get_args(IfExists))
        check_choice("only", self.only, get_args(Only))
        check_count("file_bytes", self.file_bytes)
        self._check_selection()

    def _check_selection(self) -> None:
        if self.table is not None:
            check_text("output_table", self.table)
        if self.report and self.output is None:
            raise ConfigError("report", True, "it goes beside the rows; give --output=DIR")
        if self.only != "all" and self.output is None and self.table is None:
            problem = "it asks what a table holds; give --output=DIR or --output_table"
            raise ConfigError("only", self.only, problem)
        if self.only == "errors" and self.if_exists != "fail":
            problem = "allowed: fail; with only=errors, rows take the place of error rows only"
            raise ConfigError("if_exists", self.if_exists, problem)


@dataclasses.dataclass(frozen=True, slots=True)
class JobOptions:
    """A whole job.

    Attributes:
        max_error_ratio: above this share of error rows the program exits with 3.
        accelerator: resource hint for the stage that reads, prepares, predicts and stages rows.
        compare_with: another model, whose rows the run has too; each image is decoded once.
    """

    input: InputOptions
    model: ModelOptions
    output: OutputOptions
    read: ReadOptions = ReadOptions()
    decode: DecodeOptions = DecodeOptions()
    max_error_ratio: float = 0.05
    accelerator: str | None = None
    compare_with: ModelOptions | None = None

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a value that is not allowed."""
        check_number("max_error_ratio", self.max_error_ratio, 0, 1)
        if self.compare_with is not None:
            _check_compared(self.compare_with, self.model, self.output)

    @property
    def models(self) -> tuple[ModelOptions, ...]:
        """The model, and the one that it is compared with."""
        return (self.model,) if self.compare_with is None else (self.model, self.compare_with)


def _check_compared(other: ModelOptions, model: ModelOptions, output: OutputOptions) -> None:
    if (other.model, other.revision) == (model.model, model.revision):
        raise ConfigError("compare_with", other.model, "it is the model itself; name another one")
    if output.output is None and output.table is None:
        problem = "rows tell two models apart; give --output=DIR or --output_table=P.D.T"
        raise ConfigError("compare_with", other.model, problem)
    if output.jsonl is not None:
        problem = "a response names no model; leave --output_jsonl out"
        raise ConfigError("compare_with", other.model, problem)
    if output.only != "all":
        problem = f"two models have not scored the same images; leave --only={output.only} out"
        raise ConfigError("compare_with", other.model, problem)
