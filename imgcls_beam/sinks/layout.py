"""Where a run's files lie: path arithmetic and nothing else.

::

    OUT/predictions/run_date=2026-11-23/model=google--vit@3f49326eb077/run_id=r1/part-….parquet
                                           part-00000-of-00004.parquet; with the attempt's tag,
                                           part-00000-of-00004-1f3a9c2b.parquet, where another
                                           attempt's files may stand beside them
    OUT/runs/r1.json                       written last: it is the commit
    OUT/runs/failed/r1-<attempt>.json      what a run that did not add up left
    OUT/_staging/r1-<attempt>/             gone once the run is published

Records of failed runs lie a folder below: who reads `runs/*.json` sees committed runs only, and who
reads deeper sees `"state": "FAILED"` in them.
"""

import dataclasses
import datetime
import hashlib
import re

from imgcls_beam.checks import scheme_of
from imgcls_beam.elements import make_model_key
from imgcls_beam.errors import ConfigError
from imgcls_beam.options import OutputOptions
from imgcls_beam.rows import RunContext

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?", re.ASCII)
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_FOLDER = re.compile(r"((?:[^/]*://)?/?)(.*?)/*", re.DOTALL)
_LOCKED_SCHEMES = ("file", "local")
NOTE = "attempt.json"
TAG_CHARS = 8
_SLUG_CHARS = 96
_DIGEST_CHARS = 8


def slug_model(model_id: str, revision: str) -> str:
    """A model's key that fits into a path: `owner--name@0123456789ab`, `folder@0123456789ab`.

    A hub id keeps its letters. Any other id (an odd character, a long name) becomes its last
    component, made fit, and 8 hex digits of its SHA-256, so that two of them do not meet.

    Returns:
        Letters, digits, `.`, `_`, `-` and one `@`; 1 to 96 characters before it, 1 to 12 after.
    """
    model_id, _, digits = make_model_key(model_id, revision).rpartition("@")
    slug = model_id.replace("/", "--")
    if not _HUB_ID.fullmatch(model_id) or "--" in model_id or len(slug) > _SLUG_CHARS:
        digest = hashlib.sha256(model_id.encode("utf-8", "surrogatepass")).hexdigest()
        last = _make_fit(model_id.rstrip("/").rpartition("/")[2])
        kept = last[: _SLUG_CHARS - _DIGEST_CHARS - 1]
        slug = f"{kept or 'model'}-{digest[:_DIGEST_CHARS]}"
    return f"{slug}@{_make_fit(digits) or 'unknown'}"


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """The places of one attempt at one run.

    Attributes:
        output: the folder that was asked for, a path or any fsspec URL.
        run_id: name of the run.
        run_date: the day to which its rows belong.
        model_id: hub id or folder of the model.
        model_revision: its commit, or the SHA-256 of its folder.
        attempt: unique to one start of the program.
        tag: in the names of this attempt's parts; empty where it alone can write there.
    """

    output: str
    run_id: str
    run_date: datetime.date
    model_id: str
    model_revision: str
    attempt: str
    tag: str = ""

    @classmethod
    def of_run(cls, output: OutputOptions, run: RunContext) -> "Layout":
        """The layout of a run that writes to this output.

        Raises:
            ConfigError: there is no folder for rows.
        """
        if output.output is None:
            raise ConfigError("output", None, "give the folder for the rows")
        return cls(
            output=output.output,
            run_id=run.run_id,
            run_date=run.run_date,
            model_id=run.model_id,
            model_revision=run.model_revision,
            attempt=output.attempt,
            tag="" if _is_alone(output, output.output) else output.attempt[:TAG_CHARS],
        )

    @property
    def predictions(self) -> str:
        """The root of all published rows."""
        return join(self.output, "predictions")

    @property
    def run_folder(self) -> str:
        """Where this run's rows are published."""
        model = slug_model(self.model_id, self.model_revision)
        run_date = f"run_date={self.run_date.isoformat()}"
        return join(self.predictions, run_date, f"model={model}", f"run_id={self.run_id}")

    @property
    def runs(self) -> str:
        """The records of committed runs."""
        return join(self.output, "runs")

    @property
    def record(self) -> str:
        """This run's record: it is there once the run is committed."""
        return locate_record(self.output, self.run_id)

    @property
    def failed_record(self) -> str:
        """What this attempt leaves if its counts do not add up."""
        return join(self.runs, "failed", f"{self.run_id}-{self.attempt}.json")

    @property
    def staging_root(self) -> str:
        """The staging folders of all attempts."""
        return join(self.output, "_staging")

    @property
    def staging(self) -> str:
        """This attempt's staging folder."""
        return join(self.staging_root, f"{self.run_id}-{self.attempt}")

    @property
    def lock(self) -> str:
        """Held on local disks while a run of this name is published."""
        return locate_lock(self.output, self.run_id)

    def locate_part(self, index: int, count: int) -> str:
        """The final place of a part, counted from 0."""
        tag = f"-{self.tag}" if self.tag else ""
        return join(self.run_folder, f"part-{index:05d}-of-{count:05d}{tag}.parquet")

    @property
    def note(self) -> str:
        """What this attempt leaves for those who have to clear up after it."""
        return join(self.staging, NOTE)

    def make_relative(self, url: str) -> str:
        """A place of this layout, relative to the output folder."""
        return url.removeprefix(join(self.output, ""))


def _is_alone(output: OutputOptions, folder: str) -> bool:
    """Whether a lock keeps all other attempts away, and nothing of the run may stand already."""
    is_first = output.if_exists == "fail" and output.only != "errors"
    return is_first and scheme_of(folder) in _LOCKED_SCHEMES


def locate_record(output: str, run_id: str) -> str:
    """The record of a run below an output folder."""
    return join(output, "runs", f"{run_id}.json")


def locate_lock(output: str, run_id: str) -> str:
    """The lock of a run below an output folder."""
    return join(output, "_staging", f"{run_id}.lock")


def join(folder: str, *names: str) -> str:
    """A place below a folder, which may be a bare `scheme://` or `/`, or end in slashes."""
    anchor, rest = _FOLDER.fullmatch(folder).groups()  # type: ignore[union-attr]  # matches all
    return anchor + "/".join((rest, *names) if rest else names)


def _make_fit(text: str) -> str:
    return _UNFIT.sub("-", text).strip("-.")
