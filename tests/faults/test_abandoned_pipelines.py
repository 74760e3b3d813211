"""A library pipeline that fails leaves its outputs exactly as they were."""

import pathlib
from collections.abc import Iterator

import apache_beam as beam
import fsspec
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from imgcls_beam.elements import Failure, ImageRef, Outcome
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.options import OutputOptions
from imgcls_beam.sinks import JsonlSession, WriteJsonl, WriteParquet, begin_jsonl, begin_session
from tests.runners import IN_MEMORY
from tests.staged import NOON, SCORING

pytestmark = pytest.mark.slow

Contents = dict[str, bytes]


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """A folder that is not there yet, on each kind of store."""
    memory = fsspec.filesystem("memory")
    yield f"{tmp_path}/deep/out" if request.param == "disk" else "memory://abandoned/out"
    if memory.exists("/abandoned"):
        memory.rm("/abandoned", recursive=True)


def read_all(folder: str) -> Contents:
    """Every file; on a disk every folder too."""
    store, path = fsspec.url_to_fs(folder.removesuffix("/out"))
    is_disk = "://" not in folder
    found = store.find(path, withdirs=is_disk) if store.exists(path) else []
    return {each: b"" if store.isdir(each) else store.cat_file(each) for each in found}


def make_outcome(index: int) -> Outcome:
    ref = ImageRef(f"gs://b/{index:03d}")
    return Failure(ref, Stage.READ, FailureCode.NOT_FOUND, "gone", failed_at=NOON, scoring=SCORING)


class DieAt(beam.DoFn):
    def __init__(self, index: int | None) -> None:
        self._index = index

    def process(self, index: int) -> Iterator[Outcome]:
        if index == self._index:
            raise ZeroDivisionError("a defect")
        yield make_outcome(index)


def write(folder: str, dies_at: int | None, output: object = None, lines: object = None) -> None:
    """Writes 3,000 rows and lines, or some of them."""
    with beam.Pipeline(options=PipelineOptions(IN_MEMORY)) as pipeline:
        indices = pipeline | beam.Create(range(3000), reshuffle=False)
        outcomes = indices | beam.ParDo(DieAt(dies_at)).with_output_types(Outcome)
        record = outcomes | WriteParquet(output or OutputOptions(folder, "r1", file_bytes=1000))
        _ = outcomes | WriteJsonl(lines or f"{folder}/r.jsonl", after=record)


@pytest.mark.parametrize("has_earlier_run", [False, True])
def test_a_defect_halfway_leaves_nothing_and_is_the_error_that_is_seen(
    folder: str, has_earlier_run: bool
) -> None:
    if has_earlier_run:
        outcomes = [make_outcome(index) for index in range(7)]
        with beam.Pipeline(options=PipelineOptions(IN_MEMORY)) as pipeline:
            made = pipeline | beam.Create(outcomes).with_output_types(Outcome)
            _ = made | WriteParquet(folder, run_id="r0")
    before = read_all(folder)
    assert bool(before) is has_earlier_run
    with pytest.raises(ZeroDivisionError, match="a defect"):
        write(folder, dies_at=1500)
    assert read_all(folder) == before
    write(folder, dies_at=None)
    assert f"{fsspec.url_to_fs(folder)[1]}/runs/r1.json" in read_all(folder)


def test_sessions_that_have_begun_are_abandoned_too(folder: str) -> None:
    rows = begin_session(OutputOptions(folder, "r1"), [SCORING])
    lines = begin_jsonl(f"{folder}/r.jsonl", "ab" * 16)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        write(folder, 1500, rows, lines)
    assert read_all(folder) == {}


def test_a_failure_after_the_commit_leaves_what_is_committed(folder: str) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("a defect")

    with (
        pytest.raises(ZeroDivisionError, match="a defect"),
        beam.Pipeline(options=PipelineOptions(IN_MEMORY)) as pipeline,
    ):
        made = pipeline | beam.Create([make_outcome(0)]).with_output_types(Outcome)
        _ = made | WriteParquet(folder, run_id="r1") | beam.Map(fail)
    path = fsspec.url_to_fs(folder)[1]
    files = [each for each in read_all(folder) if each.endswith((".json", ".parquet"))]
    assert sorted(each.removeprefix(f"{path}/").partition("/")[0] for each in files) == [
        "predictions",
        "runs",
    ]
    assert not [each for each in read_all(folder) if "_staging" in each]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_a_runner_raises_abandons_and_is_raised(
    folder: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt while Beam runs, and a pipeline that cannot be run at all."""
    session = begin_session(OutputOptions(folder, "r1"), [SCORING])
    pipeline = beam.Pipeline(options=PipelineOptions(IN_MEMORY))

    def raise_it(*_: object) -> None:
        raise error("stop")

    monkeypatch.setattr(pipeline.runner, "run_pipeline", raise_it)
    made = pipeline | beam.Create([make_outcome(0)]).with_output_types(Outcome)
    _ = made | WriteParquet(session)
    with pytest.raises(error, match="stop"):
        pipeline.run()
    assert read_all(folder) == {}


def test_making_a_graph_reads_and_writes_nothing(folder: str) -> None:
    pipeline = beam.Pipeline(options=PipelineOptions(IN_MEMORY))
    made = pipeline | beam.Create([make_outcome(0)]).with_output_types(Outcome)
    _ = made | WriteParquet("gs://no-such-bucket-of-ours/out", run_id="r1")
    _ = made | WriteJsonl(f"{folder}/r.jsonl")
    assert read_all(folder) == {}
    assert JsonlSession.of_url(f"{folder}/r.jsonl", "ab" * 16).url.startswith(folder)
