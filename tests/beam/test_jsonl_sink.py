"""`WriteJsonl` in a pipeline: every outcome is one line, or there is no file."""

import functools
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import fsspec
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that

from imgcls_beam.elements import Failure, ImageRef, Outcome, Prediction
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.lines import encode_line
from imgcls_beam.options import OutputOptions
from imgcls_beam.scoring import AppliedParameters, Execution
from imgcls_beam.sinks import JsonlFile, WriteJsonl, WriteParquet
from imgcls_beam.spec import LabelScore
from tests import by_url
from tests.runners import DEFAULT, REPEATED, TWO_PROCESSES, make_pipeline
from tests.staged import NOON, RUN, SCORING

pytestmark = pytest.mark.usefixtures("forked_workers")


def make_outcome(index: int) -> Outcome:
    """Every third request was refused; the others were answered."""
    ref = ImageRef(f"file:///r.jsonl::{index}", request_id=index if index % 2 else str(index))
    if index % 3 == 2:
        return Failure(
            ref,
            Stage.READ,
            FailureCode.INVALID_REQUEST,
            "not base64",
            failed_at=NOON,
            scoring=SCORING,
        )
    return Prediction(
        ref=ref,
        labels=(LabelScore("a\ncat", 0.75), LabelScore("dog", 0.25)),
        margin=0.5,
        applied=AppliedParameters(5, "softmax", "model"),
        execution=Execution("cpu", "float32", 8, 2.0, NOON),
        scoring=SCORING,
    )


def make_outcomes(first: int, count: int) -> Iterator[Outcome]:
    for index in range(first, first + count):
        yield make_outcome(index)


def make_lines(count: int) -> list[bytes]:
    return [encode_line(make_outcome(index)) for index in range(count)]


def die_at(outcome: Outcome, uri: str) -> Outcome:
    if outcome.ref.uri == uri:
        raise RuntimeError("a sick worker")
    return outcome


def write_another(outcome: Outcome, path: pathlib.Path) -> Outcome:
    path.write_text("mine\n")
    return outcome


def check_one_file(files: Sequence[JsonlFile], url: str, lines: int) -> None:
    (file,) = files
    assert (file.path, file.lines) == (url, lines)
    assert (file.sha256, file.size_bytes) == (
        by_url.hash_file(url),
        by_url.find_size(url),
    )


def write(
    url: str,
    images: int,
    arguments: Sequence[str] = DEFAULT,
    listed: int | None = None,
    sick_at: str = "",
    is_spread: bool = True,
) -> None:
    """Runs the sink over so many outcomes, made in chunks of 50 that runners may spread."""
    chunks = [(first, min(50, images - first)) for first in range(0, images, 50)]
    with beam.Pipeline(options=PipelineOptions(list(arguments))) as pipeline:
        made = pipeline | "Chunks" >> beam.Create(chunks, reshuffle=False)
        if is_spread:
            made |= "Spread" >> beam.Reshuffle()
        outcomes = made | beam.FlatMapTuple(make_outcomes) | beam.Map(die_at, sick_at)
        count = pipeline | "Count" >> beam.Create([images if listed is None else listed])
        files = outcomes | WriteJsonl(url, count)
        assert_that(files, functools.partial(check_one_file, url=url, lines=images))


def read_lines(url: str) -> list[bytes]:
    with by_url.open_existing(url) as source:
        return source.readlines()


@pytest.mark.parametrize(
    ("arguments", "images"),
    [
        *((DEFAULT, 1), (REPEATED, 1), (DEFAULT, 1200), (REPEATED, 1200)),
        pytest.param(TWO_PROCESSES, 1200, marks=pytest.mark.slow),
        pytest.param(TWO_PROCESSES, 1, marks=pytest.mark.long),
    ],
)
def test_every_request_is_answered_in_its_order_on_every_local_runner(
    tmp_path: pathlib.Path, arguments: list[str], images: int
) -> None:
    write(str(tmp_path / "r.jsonl"), images, arguments)
    assert read_lines(str(tmp_path / "r.jsonl")) == make_lines(images)
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


def test_answers_and_refusals_stand_side_by_side(tmp_path: pathlib.Path) -> None:
    write(str(tmp_path / "r.jsonl"), 3, is_spread=False)
    first, second, third = map(json.loads, read_lines(str(tmp_path / "r.jsonl")))
    labels = [{"label": "a\ncat", "score": 0.75}, {"label": "dog", "score": 0.25}]
    assert first == {"id": "0", "image_uri": "file:///r.jsonl::0", "response": labels}
    assert second == {"id": 1, "image_uri": "file:///r.jsonl::1", "response": labels}
    error = {"stage": "read", "code": "invalid_request", "message": "not base64"}
    assert third == {"id": "2", "image_uri": "file:///r.jsonl::2", "error": error}


def test_no_outcome_at_all_is_an_empty_file(tmp_path: pathlib.Path) -> None:
    write(str(tmp_path / "r.jsonl"), 0)
    assert (tmp_path / "r.jsonl").read_bytes() == b""


def test_a_file_in_memory_works_within_one_process() -> None:
    write("memory://lines/r.jsonl", 120)
    assert sorted(read_lines("memory://lines/r.jsonl")) == sorted(make_lines(120))
    memory = fsspec.filesystem("memory")
    assert memory.find("/lines") == ["/lines/r.jsonl"]
    memory.rm("/lines", recursive=True)


def test_images_that_were_listed_and_lost_leave_no_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Exception, match="listed 101 images, but 100 lines"):
        write(str(tmp_path / "r.jsonl"), 100, listed=101)
    assert not (tmp_path / "r.jsonl").exists()


def test_a_run_that_dies_leaves_no_file_and_the_next_one_clears_what_it_staged(
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(Exception, match="a sick worker"):
        write(str(tmp_path / "r.jsonl"), 300, sick_at=make_outcome(299).ref.uri)
    assert not (tmp_path / "r.jsonl").exists()
    write(str(tmp_path / "r.jsonl"), 300)
    assert sorted(read_lines(str(tmp_path / "r.jsonl"))) == sorted(make_lines(300))
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


def test_a_file_that_appeared_during_the_run_is_left_as_it_is(tmp_path: pathlib.Path) -> None:
    with (
        pytest.raises(Exception, match="another file is there"),
        make_pipeline() as pipeline,
    ):
        outcomes = pipeline | beam.Create(range(10)) | beam.Map(make_outcome)
        written = outcomes | "Disturb" >> beam.Map(write_another, tmp_path / "r.jsonl")
        _ = written | WriteJsonl(str(tmp_path / "r.jsonl"))
    assert (tmp_path / "r.jsonl").read_text() == "mine\n"
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


def test_a_file_that_is_there_is_refused_when_the_session_begins(tmp_path: pathlib.Path) -> None:
    (tmp_path / "r.jsonl").write_text("mine\n")
    with pytest.raises(Exception, match="it is there already"):
        write(str(tmp_path / "r.jsonl"), 10)
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


def test_a_run_whose_rows_are_not_committed_has_no_file(tmp_path: pathlib.Path) -> None:
    output = OutputOptions(str(tmp_path / "out"), RUN.run_id, RUN.run_date)
    url = str(tmp_path / "r.jsonl")
    pipeline = make_pipeline()
    outcomes = pipeline | beam.Create(range(10)) | beam.Map(make_outcome)
    ten, eleven = (pipeline | str(count) >> beam.Create([count]) for count in (10, 11))
    record = outcomes | WriteParquet(output, eleven)
    _ = outcomes | WriteJsonl(url, ten, record)
    with pytest.raises(Exception, match="listed 11 images, but 10 rows"):
        pipeline.run().wait_until_finish()
    assert not pathlib.Path(url).exists()


def test_nothing_but_staged_files_crosses_a_shuffle(tmp_path: pathlib.Path) -> None:
    pipeline = make_pipeline()
    outcomes = pipeline | beam.Create([make_outcome(0)], reshuffle=False)
    listed = pipeline | "Count" >> beam.Create([1], reshuffle=False)
    _ = outcomes | WriteJsonl(str(tmp_path / "r.jsonl"), listed)
    crossing: list[str] = []
    pipeline.visit(_Crossings(crossing))
    others = ["Count/Map(decode)", "WriteJsonl/Begin"]  # a count, and the session
    assert sorted(crossing) == [*others, "WriteJsonl/Line"]


class _Crossings(beam.pipeline.PipelineVisitor):
    """Notes what is grouped, or handed to a step as a whole: that waits for all of it."""

    def __init__(self, found: list[str]) -> None:
        self._found = found

    def visit_transform(self, transform_node: Any) -> None:
        if isinstance(transform_node.transform, beam.GroupByKey):
            self._found.append(transform_node.full_label)
        views = {view.pvalue.producer.full_label for view in transform_node.side_inputs}
        self._found += views - set(self._found)

    def enter_composite_transform(self, transform_node: Any) -> None:
        self.visit_transform(transform_node)
