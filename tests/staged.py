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

from imgcls_beam.elements import (
    AppliedParameters,
    Execution,
    Failure,
    ImageRef,
    ModelSource,
    Prediction,
    Scoring,
)
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.rows import RunContext, to_record_batch
from imgcls_beam.sinks import store
from imgcls_beam.sinks.fragments import Fragments, FragmentWriter, merge_fragments
from imgcls_beam.sinks.layout import Layout, join
from imgcls_beam.sinks.parts import StagedPart, merge_part, plan_parts
from imgcls_beam.sinks.publishing import Publication
from imgcls_beam.sinks.record import RunRecord, read_record
from imgcls_beam.spec import LabelScore

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
STARTED = datetime.datetime(2020, 2, 20, tzinfo=datetime.UTC)
SCORING = Scoring(ModelSource("owner/model", "a" * 40, "owner/model", "a" * 40), 5)
RUN = RunContext("r1", NOON.date(), "owner/model", "a" * 40, '{"torch":"2.13"}', 5)


def scoring_of(run: RunContext) -> Scoring:
    commit = run.model_revision
    return Scoring(ModelSource(run.model_id, commit, run.model_id, commit), run.top_k)


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
CHANGES = ("mv", "link", "rm_file", "cp_file", "pipe_file", "_open", "makedirs", "rmdir")


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
    for name in CHANGES:
        setattr(kind, name, burning(name, kind))
    fsspec.register_implementation(kind.protocol[0], kind, clobber=True)


def empty_stores() -> None:
    """Forgets what tests before wrote into buckets; nothing dies until the fuse is set."""
    FUSE.set(None)
    MortalBucket.store.clear()


def make_layout(output: str, attempt: int = 1, run: RunContext = RUN) -> Layout:
    return Layout(
        output, run.run_id, run.run_date, run.model_id, run.model_revision, f"{attempt:032x}"
    )


def make_publication(layout: Layout) -> Publication:
    run = dataclasses.replace(RUN, run_date=layout.run_date)
    return Publication(run, layout, '{"input": ["gs://b"]}', STARTED)


def make_batch(
    start: int, rows: int, run: RunContext = RUN, are_ok: bool = False
) -> pa.RecordBatch:
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


def stage(layout: Layout, sizes: Sequence[int]) -> Fragments:
    """Stages one fragment per size; together they hold the images 0, 1, 2, …"""
    starts = itertools.accumulate(sizes, initial=0)
    return stage_from(layout, list(zip(starts, sizes, strict=False)))


def stage_from(
    layout: Layout,
    spans: Sequence[tuple[int, int]],
    run: RunContext = RUN,
    are_ok: bool = False,
) -> Fragments:
    """Stages one fragment per (first image, images)."""
    staged = []
    for start, rows in spans:
        writer = FragmentWriter(layout.staging)
        writer.write(make_batch(start, rows, run, are_ok))
        staged.append(writer.close())
    return merge_fragments([fragments for fragments in staged if fragments])


def stage_parts(
    layout: Layout, sizes: Sequence[int], target_bytes: int = 1
) -> tuple[list[StagedPart], Fragments]:
    fragments = stage(layout, sizes)
    planned = plan_parts(fragments.files, target_bytes)
    return [merge_part(part, layout.staging) for part in planned], fragments


def list_output(output: str) -> list[str]:
    return store.list_names(output)


def read_uris(output: str) -> list[str]:
    """What a reader sees who globs, in the order of the images."""
    uris: list[str] = []
    for name in list_output(output):
        if name.startswith("predictions/"):
            with store.open_existing(join(output, name)) as source:
                uris += pq.read_table(source)["image_uri"].to_pylist()
    return sorted(uris)


def make_uris(rows: int) -> list[str]:
    return [f"gs://b/{i:06d}" for i in range(rows)]


def check_committed(output: str, record: RunRecord, rows: int) -> None:
    """A committed run is its files and its record, and nothing else is left."""
    assert list_output(output) == sorted([*(file.path for file in record.files), "runs/r1.json"])
    assert read_uris(output) == make_uris(rows)
    assert read_record(join(output, "runs", "r1.json")) == record
    for file in record.files:
        assert store.hash_file(join(output, file.path)) == file.sha256
        assert store.find_size(join(output, file.path)) == file.size_bytes
