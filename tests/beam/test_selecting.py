"""Runs after runs: what is new, what failed, what is added; joined by a shuffle and on disk."""

import dataclasses
import datetime
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import duckdb
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from imgcls_beam.elements import Failure, ImageRef, Outcome, Prediction
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.options import InputOptions, ManifestOptions, OutputOptions
from imgcls_beam.scoring import AppliedParameters, Execution, ModelSource, Scoring
from imgcls_beam.selecting import SelectImages
from imgcls_beam.sinks import RunRecord, Selection, WriteParquet, read_record
from imgcls_beam.spec import LabelScore
from tests.runners import DEFAULT, REPEATED, TWO_PROCESSES
from tests.staged import Run, scoring_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked_workers")]

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
COMMIT = "0123456789abcdef" * 2 + "01234567"
RUN = Run("r1", NOON.date(), "owner/model", COMMIT, "{}", 5)
SCORING = Scoring(ModelSource("owner/model", COMMIT, "owner/model", COMMIT), 5)

WAYS = [
    pytest.param((False, DEFAULT), id="on disk"),
    pytest.param((True, DEFAULT), id="joined", marks=pytest.mark.slow),
    pytest.param((True, REPEATED), id="joined, bundles twice", marks=pytest.mark.slow),
    pytest.param((True, TWO_PROCESSES), id="joined by two processes", marks=pytest.mark.slow),
]
WAYS_AND_LONG = [
    *WAYS[:3],
    pytest.param((True, TWO_PROCESSES), id="joined by two processes", marks=pytest.mark.long),
]
"""Where another test holds already that two processes select what one does."""


def to_outcome(listed: ImageRef | Failure, scoring: Scoring = SCORING) -> Outcome:
    """Says of each image what its first byte is; of an empty one nothing."""
    if isinstance(listed, Failure):
        return dataclasses.replace(listed, scoring=scoring)
    path = pathlib.Path(listed.uri.removeprefix("file://"))
    data = path.read_bytes()
    if not data:
        return Failure(
            listed, Stage.READ, FailureCode.EMPTY, "no bytes", failed_at=NOON, scoring=scoring
        )
    return Prediction(
        ref=listed,
        labels=(LabelScore(chr(data[0]), 0.75), LabelScore("other", 0.25)),
        margin=0.5,
        applied=AppliedParameters(5, "softmax", "model"),
        execution=Execution("cpu", "float32", 8, 2.0, NOON),
        scoring=scoring,
    )


def run_job(
    inputs: InputOptions,
    output: pathlib.Path,
    way: tuple[bool, Sequence[str]],
    run: Run = RUN,
    **changes: Any,
) -> RunRecord:
    """Lists, selects, says what there is, writes."""
    is_spread, arguments = way
    options = OutputOptions(str(output), run.run_id, run.run_date, **changes)
    selection = Selection.of_run(options, scoring_of(run))
    if selection is None:
        selection = Selection(str(output), None, run.run_id, "all", "fail", scoring_of(run))
    with beam.Pipeline(options=PipelineOptions(list(arguments))) as pipeline:
        select = SelectImages(inputs, selection, is_spread=is_spread)
        selected = pipeline | select
        counts = (
            selected.wanted | "CountWanted" >> beam.combiners.Count.Globally(),
            selected.skipped | "CountSkipped" >> beam.combiners.Count.Globally(),
        )
        listed = counts | beam.Flatten() | beam.CombineGlobally(sum)
        outcomes = selected.wanted | beam.Map(to_outcome, scoring_of(run))
        _ = outcomes | WriteParquet(options, listed, skipped=selected.skipped)
    return read_record(str(output / "runs" / f"{run.run_id}.json"))


def of_run(run_id: str, **changes: Any) -> Run:
    return dataclasses.replace(RUN, run_id=run_id, **changes)


def query(output: pathlib.Path, sql: str) -> list[tuple[Any, ...]]:
    rows = f"read_parquet('{output}/predictions/**/*.parquet', hive_partitioning=true)"
    answer: list[tuple[Any, ...]] = duckdb.sql(sql.format(rows=rows)).fetchall()
    return answer


def read_statuses(output: pathlib.Path, run_id: str) -> dict[str, str]:
    sql = f"select parse_filename(image_uri), status from {{rows}} where run_id = '{run_id}'"
    rows = query(output, sql)
    assert len(rows) == len(dict(rows)), "an image has two rows"
    return dict(rows)


def write_files(folder: pathlib.Path, first: int, count: int) -> list[pathlib.Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index:04d}.jpg" for index in range(first, first + count)]
    for index, path in enumerate(paths, first):
        path.write_text("" if index % 10 == 9 else f"{index % 7}")
    return paths


@pytest.mark.parametrize("way", WAYS)
def test_what_is_new_or_changed_or_failed_is_taken_and_all_else_is_skipped(
    tmp_path: pathlib.Path, way: tuple[bool, Sequence[str]]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    paths = write_files(photos, 0, 60)
    inputs = InputOptions(inputs=(str(photos),))
    first = run_job(inputs, out, way)
    assert first.counts == {"listed": 60, "ok": 54, "error": 6, "skipped": 0}

    write_files(photos, 60, 5)
    for path in paths[:3]:
        path.write_text("x")
        os.utime(path, (2e9, 2e9))
    for path in paths[50:53]:
        path.unlink()
    second = run_job(inputs, out, way, of_run("r2"), only="new")
    assert second.counts == {"listed": 62, "ok": 8, "error": 6, "skipped": 48}
    statuses = read_statuses(out, "r2")
    done = {name for name, status in statuses.items() if status == "ok"}
    assert done == {f"{index:04d}.jpg" for index in (0, 1, 2, *range(60, 65))}

    third = run_job(inputs, out, way, of_run("r3"), only="new")
    assert third.counts == {"listed": 62, "ok": 0, "error": 6, "skipped": 56}


@pytest.mark.parametrize(
    ("change", "skipped"),
    [
        ({}, 9),
        ({"model_revision": "f" * 40}, 0),
        ({"top_k": 4}, 0),
        ({"function_to_apply": "sigmoid"}, 0),
        ({"preprocess": "fast"}, 0),
        ({"run_date": NOON.date() + datetime.timedelta(days=1)}, 9),
        ({"library_versions": '{"torch": "9"}'}, 9),
    ],
)
@pytest.mark.parametrize("way", WAYS[:2])
def test_an_image_is_new_to_another_model_or_other_parameters(
    tmp_path: pathlib.Path,
    way: tuple[bool, Sequence[str]],
    change: dict[str, Any],
    skipped: int,
) -> None:
    write_files(tmp_path / "photos", 0, 10)
    inputs = InputOptions(inputs=(str(tmp_path / "photos"),))
    run_job(inputs, tmp_path / "out", way)
    record = run_job(inputs, tmp_path / "out", way, of_run("r2", **change), only="new")
    assert record.counts["skipped"] == skipped


@pytest.mark.parametrize("way", WAYS_AND_LONG)
def test_what_failed_is_tried_again_in_its_own_run(
    tmp_path: pathlib.Path, way: tuple[bool, Sequence[str]]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    paths = write_files(photos, 0, 60)
    inputs = InputOptions(inputs=(str(photos),))
    run_job(inputs, out, way)
    for path in paths[9:40:10]:
        path.write_text("z")
    paths[49].unlink()
    record = run_job(inputs, out, way, only="errors")
    assert record.counts == {"listed": 60, "ok": 58, "error": 2, "skipped": 0}
    failed = {name for name, status in read_statuses(out, "r1").items() if status == "error"}
    assert failed == {"0049.jpg", "0059.jpg"}
    assert query(out, "select count(*) from {rows} where top_label = 'z'") == [(4,)]


@pytest.mark.parametrize("way", WAYS[:2])
def test_an_append_that_would_double_a_row_is_refused(
    tmp_path: pathlib.Path, way: tuple[bool, Sequence[str]]
) -> None:
    out = tmp_path / "out"
    write_files(tmp_path / "one", 0, 20)
    write_files(tmp_path / "two", 20, 10)
    one, two = (InputOptions(inputs=(str(tmp_path / name),)) for name in ("one", "two"))
    run_job(one, out, way)
    assert run_job(two, out, way, if_exists="append").counts["listed"] == 30
    both = InputOptions(inputs=(*one.inputs, *two.inputs))
    with pytest.raises(Exception, match="already has a row of file://"):
        run_job(both, out, way, if_exists="append")
    write_files(tmp_path / "two", 30, 4)
    record = run_job(both, out, way, if_exists="append", only="new")
    assert record.counts == {"listed": 34, "ok": 31, "error": 3, "skipped": 0}
    assert len(read_statuses(out, "r1")) == 34


@pytest.mark.parametrize("way", WAYS[:2])
def test_a_run_that_is_replaced_is_no_reason_to_skip(
    tmp_path: pathlib.Path, way: tuple[bool, Sequence[str]]
) -> None:
    write_files(tmp_path / "photos", 0, 10)
    inputs = InputOptions(inputs=(str(tmp_path / "photos"),))
    run_job(inputs, tmp_path / "out", way)
    record = run_job(inputs, tmp_path / "out", way, only="new", if_exists="replace")
    assert record.counts == {"listed": 10, "ok": 9, "error": 1, "skipped": 0}


@pytest.mark.parametrize("way", WAYS[:2])
def test_images_that_a_manifest_names_are_known_by_the_version_that_their_store_gives(
    tmp_path: pathlib.Path, way: tuple[bool, Sequence[str]]
) -> None:
    paths = write_files(tmp_path / "photos", 0, 9)
    names = [str(path) for path in paths]
    (tmp_path / "list.txt").write_text(
        "\n".join([*names, names[0], str(tmp_path / "gone.jpg"), ""])
    )
    inputs = InputOptions(manifest=ManifestOptions(str(tmp_path / "list.txt")))
    as_folder = InputOptions(inputs=(str(tmp_path / "photos"),))
    run_job(as_folder, tmp_path / "out", way)
    (tmp_path / "gone.jpg").write_text("1")
    paths[4].write_text("y")
    os.utime(paths[4], (2e9, 2e9))
    record = run_job(inputs, tmp_path / "out", way, of_run("r2"), only="new")
    assert record.counts == {"listed": 10, "ok": 2, "error": 0, "skipped": 8}


@pytest.mark.parametrize("way", WAYS[:2])
def test_a_limit_counts_what_is_new(
    tmp_path: pathlib.Path, way: tuple[bool, Sequence[str]]
) -> None:
    write_files(tmp_path / "photos", 0, 30)
    inputs = InputOptions(inputs=(str(tmp_path / "photos"),), limit=8)
    for run_id, ok in (("r1", 8), ("r2", 7), ("r3", 6)):
        record = run_job(inputs, tmp_path / "out", way, of_run(run_id), only="new")
        assert record.counts["ok"] == ok
    sql = "select count(distinct image_uri) from {rows} where status = 'ok'"
    assert query(tmp_path / "out", sql) == [(21,)]


def test_runs_that_were_never_committed_and_files_that_are_no_records_say_nothing(
    tmp_path: pathlib.Path,
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_files(photos, 0, 10)
    inputs = InputOptions(inputs=(str(photos),))
    run_job(inputs, out, (False, DEFAULT))
    (out / "runs" / "failed").mkdir()
    (out / "runs" / "r1.json").rename(out / "runs" / "failed" / "r1.json")
    (out / "runs" / "r0.json").write_text("{")
    (out / "runs" / "notes.txt").write_text("mine")
    record = run_job(inputs, out, (False, DEFAULT), of_run("r2"), only="new")
    assert record.counts["skipped"] == 0
