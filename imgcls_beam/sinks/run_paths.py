"""Where a run's files lie, as names in its output folder: arithmetic and nothing else.

::

    OUT/predictions/run_date=2026-11-23/model=google--vit@3f49326eb077/run_id=r1/part-….parquet
                                           part-00000-of-00004.parquet; with the session's tag,
                                           part-00000-of-00004-1f3a9c2b.parquet, where files of
                                           another session may lie beside them
    OUT/runs/r1.json                       written last: it is the commit
    OUT/runs/failed/r1-<session>.json      what a run that did not add up left
    OUT/_staging/r1-<session>/             gone once the run is committed

Records of failed runs lie a folder below, so `runs/*.json` are committed runs only; a reader of
`runs/**` sees `"state": "FAILED"` in the others.
"""

import dataclasses
import datetime
import hashlib
import re

from imgcls_beam.options import OutputOptions
from imgcls_beam.stores import join_url

PREDICTIONS, RUNS, STAGING = "predictions", "runs", "_staging"
"""The folders of an output: all published rows, records of runs, what sessions have staged."""

TAG_CHARS = 8
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?", re.ASCII)
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_SLUG_CHARS = 96
_DIGEST_CHARS = 8
_REVISION_CHARS = 12


def slug_model(model_key: str) -> str:
    """A model's key that fits into a path: `owner--name@0123456789ab`.

    A hub id keeps its letters. Any other name (an odd character, a long name) becomes its last
    component, made fit, and 8 hex digits of its SHA-256, so that two of them do not meet.

    Returns:
        Letters, digits, `.`, `_`, `-` and one `@`; 1 to 96 characters before it, 1 to 12 after.
    """
    name, _, revision = model_key.rpartition("@")
    slug = name.replace("/", "--")
    if not _HUB_ID.fullmatch(name) or "--" in name or len(slug) > _SLUG_CHARS:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        last = _make_fit(name.rstrip("/").rpartition("/")[2])
        kept = last[: _SLUG_CHARS - _DIGEST_CHARS - 1]
        slug = f"{kept or 'model'}-{digest[:_DIGEST_CHARS]}"
    return f"{slug}@{_make_fit(revision)[:_REVISION_CHARS] or 'unknown'}"


@dataclasses.dataclass(frozen=True, slots=True)
class RunPaths:
    """The paths of one session of one run, all relative to the output folder.

    Attributes:
        run_id: name of the run.
        run_date: the day to which its rows belong.
        session_id: unique to one start of the program.
        tag: in the names of this session's files; empty where it alone can write there.
    """

    run_id: str
    run_date: datetime.date
    session_id: str
    tag: str = ""

    @property
    def record(self) -> str:
        """This run's record: it is there once the run is committed."""
        return name_record(self.run_id)

    @property
    def failed_record(self) -> str:
        """What this session leaves if its counts do not add up."""
        return f"{RUNS}/failed/{self.run_id}-{self.session_id}.json"

    @property
    def staging(self) -> str:
        """This session's staging folder."""
        return f"{STAGING}/{self.run_id}-{self.session_id}"

    @property
    def lock(self) -> str:
        """Held on local disks while a run of this name is begun or committed."""
        return name_lock(self.run_id)

    def run_folder(self, model_key: str) -> str:
        """Where this run's rows of one model are published."""
        keys = f"run_date={self.run_date}/model={slug_model(model_key)}"
        return f"{PREDICTIONS}/{keys}/run_id={self.run_id}"

    def locate_file(self, model_key: str, index: int, count: int) -> str:
        """The final path of one of a model's files, counted from 0."""
        tag = f"-{self.tag}" if self.tag else ""
        return f"{self.run_folder(model_key)}/part-{index:05d}-of-{count:05d}{tag}.parquet"


def list_own(output: OutputOptions) -> tuple[str, ...]:
    """URLs of all that runs write to an output: files, and folders, which end in a slash."""
    folders = (PREDICTIONS, RUNS, "reports", STAGING)
    rows = () if output.output is None else (join_url(output.output, each, "") for each in folders)
    lines = () if output.jsonl is None else (output.jsonl, f"{output.jsonl}.staging/")
    return (*rows, *lines)


def locate_record(output: str, run_id: str) -> str:
    """The path or URL of a run's record below an output folder."""
    return join_url(output, name_record(run_id))


def name_record(run_id: str) -> str:
    """The record of a run."""
    return f"{RUNS}/{run_id}.json"


def name_lock(run_id: str) -> str:
    """The lock of a run."""
    return f"{STAGING}/{run_id}.lock"


def _make_fit(text: str) -> str:
    return _UNFIT.sub("-", text).strip("-.")
