"""Small runs staged by hand, and stores under a program that may die at any operation."""

import contextlib
import dataclasses
import datetime
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from imgcls_beam.elements import Failure, ImageRef, Prediction
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.options import OutputOptions
from imgcls_beam.rows import to_record_batch
from imgcls_beam.scoring import AppliedParameters, Execution, ModelSource, Preprocess, Scoring
from imgcls_beam.sinks import Session, begin_session
from imgcls_beam.sinks.commit import commit_session
from imgcls_beam.sinks.merging import MergedFile, merge_files, plan_session
from imgcls_beam.sinks.record import RunRecord, read_record
from imgcls_beam.sinks.staged_files import BundleWriter, StagedFiles, merge_staged
from imgcls_beam.spec import FunctionToApply, LabelScore
from imgcls_beam.stores import join_url
from tests import by_url

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
STARTED = datetime.datetime(2020, 2, 20, tzinfo=datetime.UTC)
SCORING = Scoring(ModelSource("owner/model", "a" * 40, "owner/model", "a" * 40), 5)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run: its name, its day, its model, and what is asked of it."""

    run_id: str
    run_date: datetime.date
    model_id: str
    model_revision: str
    library_versions: str = "{}"
    top_k: int | None = None
    function_to_apply: FunctionToApply | None = None
    preprocess: Preprocess = "exact"

    @property
    def model_key(self) -> str:
        return self.scoring.model.key

    @property
    def scoring(self) -> Scoring:
        commit = self.model_revision
        source = ModelSource(self.model_id, commit, self.model_id, commit)
        return Scoring(source, self.top_k, self.function_to_apply, self.preprocess)

    def make_options(self, output: str, **changes: Any) -> OutputOptions:
        """The options of a job; it may write to the tests' own schemes, which no job may."""
        options = OutputOptions("out", self.run_id, self.run_date, **changes)
        object.__setattr__(options, "output", output)
        return options


RUN = Run("r1", NOON.date(), "owner/model", "a" * 40, '{"torch":"2.13"}', 5)


def scoring_of(run: Run) -> Scoring:
    return run.scoring


class Killed(Exception):
    """The program died here."""


class Fuse:
    """Dies at one chosen operation of a store, before it is done or after."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.after = False

    def set(self, left: int | None, *, after: bool = False) -> None:
        self.left, self.after = left, after

    def burn(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.left is None:
            return operation(*args, **kwargs)
        self.left -= 1
        if self.left >= 0:
            return operation(*args, **kwargs)
        self.left = None
        if self.after:
            with contextlib.suppress(OSError):
                operation(*args, **kwargs)
        raise Killed


FUSE = Fuse()
OPERATIONS = (
    *("mv", "link", "rm_file", "cp_file", "pipe_file", "cat_file", "_open", "makedirs", "rmdir"),
)


def burning(name: str, kind: type) -> Callable[..., Any]:
    def operation(self: Any, *args: Any, **kwargs: Any) -> Any:
        return FUSE.burn(getattr(super(kind, self), name), *args, **kwargs)

    return operation


class MortalDisk(LocalFileSystem):
    """A local disk under a program that may die at any operation."""

    protocol = ("mortal",)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = LocalFileSystem._strip_protocol(str(path).removeprefix("mortal://"))
        return stripped


class MortalBucket(MemoryFileSystem):
    """An object store without renaming under a program that may die at any operation."""

    protocol = ("mortalbucket",)
    store: dict[str, Any] = {}  # noqa: RUF012 - as its parent has it
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        path = str(path).removeprefix("mortalbucket://")
        stripped: str = MemoryFileSystem._strip_protocol(path)
        return stripped


for kind in (MortalDisk, MortalBucket):
    for name in OPERATIONS:
        setattr(kind, name, burning(name, kind))
    fsspec.register_implementation(kind.protocol[0], kind, clobber=True)


def empty_stores() -> None:
    """Forgets what tests before wrote into buckets; nothing dies until the fuse is set."""
    FUSE.set(None)
    MortalBucket.store.clear()


def make_session_id(number: int) -> str:
    """Another one for each number, from its first letter on."""
    return f"{number:032x}"[::-1]


def begin(output: str, number: int = 1, run: Run = RUN, **changes: Any) -> Session:
    """Begins the session of that number."""
    options = run.make_options(output, session_id=make_session_id(number), **changes)
    session = begin_session(options, [run.scoring], STARTED)
    if output.startswith("mortal://") and not changes:  # a first run on a disk: names of no session
        session = dataclasses.replace(session, paths=dataclasses.replace(session.paths, tag=""))
    return session


def commit(
    merged: Sequence[MergedFile], staged: StagedFiles, listed: int, session: Session
) -> RunRecord:
    return commit_session(merged, staged, listed, session, '{"input": ["gs://b"]}')


def make_batch(start: int, rows: int, run: Run = RUN, are_ok: bool = False) -> pa.RecordBatch:
    """Rows of the images from `start`; every fourth failed, unless all are ok."""
    outcomes = [
        Prediction(
            ref=ImageRef(f"gs://b/{i:06d}"),
            labels=(LabelScore("cat", 0.9), LabelScore("dog", 0.1)),
            margin=0.8,
            applied=AppliedParameters(2, "softmax", "model"),
            execution=Execution("cpu", "float32", 8, 1.0, NOON),
            scoring=scoring_of(run),
        )
        if i % 4 or are_ok
        else Failure(
            ImageRef(f"gs://b/{i:06d}"),
            Stage.READ,
            FailureCode.NOT_FOUND,
            "gone",
            failed_at=NOON,
            scoring=scoring_of(run),
        )
        for i in range(start, start + rows)
    ]
    return to_record_batch(outcomes, run.library_versions)


def stage(session: Session, sizes: Sequence[int], run: Run = RUN) -> StagedFiles:
    """Stages one bundle per size; together they hold the images 0, 1, 2, …"""
    starts = itertools.accumulate(sizes, initial=0)
    return stage_from(session, list(zip(starts, sizes, strict=False)), run)


def stage_from(
    session: Session,
    spans: Sequence[tuple[int, int]],
    run: Run = RUN,
    are_ok: bool = False,
) -> StagedFiles:
    """Stages one bundle per (first image, images)."""
    staged = []
    for start, rows in spans:
        writer = BundleWriter(session.folder, session.paths.staging)
        writer.write(make_batch(start, rows, run, are_ok), run.scoring)
        staged.append(writer.close())
    return merge_staged([each for each in staged if each])


def stage_merged(
    session: Session, sizes: Sequence[int], target_bytes: int = 1, run: Run = RUN
) -> tuple[list[MergedFile], StagedFiles]:
    staged = stage(session, sizes, run)
    planned = plan_session(staged, dataclasses.replace(session, file_bytes=target_bytes))
    return [merge_files(each, session.folder, session.paths.staging) for each in planned], staged


def list_output(output: str) -> list[str]:
    return by_url.list_names(output)


def read_uris(output: str) -> list[str]:
    """What a reader sees who globs, in the order of the images."""
    uris: list[str] = []
    for name in list_output(output):
        if name.startswith("predictions/"):
            with by_url.open_existing(join_url(output, name)) as source:
                uris += pq.read_table(source)["image_uri"].to_pylist()
    return sorted(uris)


def make_uris(rows: int) -> list[str]:
    return [f"gs://b/{i:06d}" for i in range(rows)]


def check_committed(output: str, record: RunRecord, rows: int) -> None:
    """A committed run is its files and its record, and nothing else is left."""
    assert list_output(output) == sorted([*(file.path for file in record.files), "runs/r1.json"])
    assert read_uris(output) == make_uris(rows)
    assert read_record(join_url(output, "runs", "r1.json")) == record
    for file in record.files:
        assert by_url.hash_file(join_url(output, file.path)) == file.sha256
        assert by_url.find_size(join_url(output, file.path)) == file.size_bytes
