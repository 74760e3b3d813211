"""Outcomes of several models, flattened into one table."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import apache_beam as beam
import pyarrow.parquet as pq
import pytest

from imgcls_beam.elements import Failure, ImageRef, Outcome, Prediction
from imgcls_beam.errors import ConfigError, FailureCode, Stage
from imgcls_beam.listing import uri_digest
from imgcls_beam.options import Only, OutputOptions
from imgcls_beam.scoring import AppliedParameters, Execution, ModelSource, Scoring
from imgcls_beam.sinks import RunRecord, Selection, WriteParquet, begin_session, read_record
from imgcls_beam.sinks.history import find_history, read_known_rows
from imgcls_beam.spec import LabelScore
from imgcls_beam.warehouse.columns import to_run_row
from tests.runners import make_pipeline
from tests.staged import NOON

pytestmark = pytest.mark.slow

ONE = Scoring(ModelSource("owner/one", "1" * 40, "owner/one", "1" * 40), 5)
TWO = Scoring(ModelSource("owner/two", "2" * 40, "owner/two", "2" * 40), 3, "sigmoid")
OTHER = dataclasses.replace(ONE, top_k=1)


def make_outcome(index: int, scoring: Scoring, fails: bool) -> Outcome:
    """Every third image failed."""
    ref = ImageRef(f"gs://b/{index:03d}", version=str(index))
    if fails and index % 3 == 0:
        code = FailureCode.NOT_FOUND
        return Failure(ref, Stage.READ, code, "gone", failed_at=NOON, scoring=scoring)
    return Prediction(
        ref=ref,
        labels=(LabelScore("cat", 0.75),),
        margin=0.5,
        applied=AppliedParameters(5, "softmax", "model"),
        execution=Execution("cpu", "float32", 8, 2.0, NOON),
        scoring=scoring,
    )


def write(
    output: OutputOptions, spans: Sequence[tuple[Scoring, range]], fails: bool = True
) -> RunRecord:
    with make_pipeline() as pipeline:
        parts = [
            pipeline
            | f"Indices{number}" >> beam.Create(indices)
            | f"Classify{number}" >> beam.Map(make_outcome, scoring, fails)
            for number, (scoring, indices) in enumerate(spans)
        ]
        _ = parts | beam.Flatten().with_output_types(Outcome) | WriteParquet(output)
    return read_record(f"{output.output}/runs/{output.run_id}.json")


def read_known(output: pathlib.Path, scoring: Scoring, only: Only = "new") -> set[bytes]:
    """Images that a run of this scoring finds in earlier rows."""
    run_id = "later" if only == "new" else "r1"
    selection = Selection(str(output), None, run_id, only, "fail", scoring)
    return {row.digest for file in find_history(selection) for row in read_known_rows(file)}


def digests(indices: Iterator[int] | Sequence[int] | range) -> set[bytes]:
    return {uri_digest(f"gs://b/{index:03d}") for index in indices}


def test_two_models_are_one_table_and_one_record(tmp_path: pathlib.Path) -> None:
    record = write(OutputOptions(str(tmp_path), "r1"), [(ONE, range(9)), (TWO, range(4, 10))])
    assert record.counts == {"listed": 15, "ok": 10, "error": 5, "skipped": 0}
    assert [(each.key, each.top_k, each.function_to_apply) for each in record.models] == [
        ("owner/one@111111111111", 5, None),
        ("owner/two@222222222222", 3, "sigmoid"),
    ]
    assert (record.model, record.parameters) == (None, None)
    rows = {}
    for file in record.files:
        table = pq.ParquetFile(tmp_path / file.path).read()
        assert set(table["model_key"].to_pylist()) == {file.model_key}
        rows[file.path.split("/")[2]] = table.num_rows
    assert rows == {"model=owner--one@111111111111": 9, "model=owner--two@222222222222": 6}
    assert RunRecord.from_json(record.to_json()) == record
    row = to_run_row(record)
    assert row["model_key"] == "owner/one@111111111111, owner/two@222222222222"
    assert row["parameters"] is None


def test_what_one_model_scored_is_new_to_the_other(tmp_path: pathlib.Path) -> None:
    write(OutputOptions(str(tmp_path), "r1"), [(ONE, range(9)), (TWO, range(9, 12))])
    assert read_known(tmp_path, ONE) == digests([1, 2, 4, 5, 7, 8])
    assert read_known(tmp_path, TWO) == digests([10, 11])
    assert read_known(tmp_path, OTHER) == set()
    assert read_known(tmp_path, ONE, "errors") == digests([0, 3, 6])


def test_rows_of_one_of_the_models_may_be_added_and_tried_again(tmp_path: pathlib.Path) -> None:
    output = str(tmp_path)
    write(OutputOptions(output, "r1"), [(ONE, range(9)), (TWO, range(9))])
    record = write(OutputOptions(output, "r1", if_exists="append"), [(TWO, range(9, 12))])
    assert record.counts == {"listed": 21, "ok": 14, "error": 7, "skipped": 0}
    assert [each.key[:9] for each in record.models] == ["owner/one", "owner/two"]
    record = write(OutputOptions(output, "r1", only="errors"), [(TWO, range(0, 6, 3))], False)
    assert record.counts == {"listed": 21, "ok": 16, "error": 5, "skipped": 0}
    assert read_known(tmp_path, ONE, "errors") == digests([0, 3, 6])
    assert read_known(tmp_path, TWO, "errors") == digests([6, 9])


@pytest.mark.parametrize(
    ("spans", "problem"),
    [
        ([(ONE, range(3)), (OTHER, range(3, 6))], "top_k=1.* and .*top_k=5"),
        ([(ONE, range(3)), (ONE, range(3))], None),
    ],
)
def test_two_ways_to_ask_one_model_are_not_one_run(
    tmp_path: pathlib.Path, spans: list[tuple[Scoring, range]], problem: str | None
) -> None:
    """Equal ones are one; that an image has two rows then is for the caller to see."""
    if problem is None:
        assert len(write(OutputOptions(str(tmp_path), "r1"), spans).models) == 1
        return
    with pytest.raises(Exception, match=problem):
        write(OutputOptions(str(tmp_path), "r1"), spans)
    assert not (tmp_path / "predictions").exists()
    with pytest.raises(ConfigError, match=problem):
        begin_session(OutputOptions(str(tmp_path), "r1"), [ONE, OTHER])


@pytest.mark.parametrize(("expected", "rows"), [([ONE], TWO), ([ONE], OTHER), ([ONE, TWO], OTHER)])
def test_rows_of_another_scoring_than_was_expected_are_not_committed(
    tmp_path: pathlib.Path, expected: list[Scoring], rows: Scoring
) -> None:
    session = begin_session(OutputOptions(str(tmp_path), "r1"), expected)
    with (
        pytest.raises(Exception, match=r"rows say .*, but the run was begun with owner/one"),
        make_pipeline() as pipeline,
    ):
        made = pipeline | beam.Create([make_outcome(1, rows, True)]).with_output_types(Outcome)
        _ = made | WriteParquet(session)
    assert not (tmp_path / "predictions").exists()


def test_a_run_of_no_rows_has_the_models_that_were_expected(tmp_path: pathlib.Path) -> None:
    session = begin_session(OutputOptions(str(tmp_path), "r1"), [TWO, ONE])
    with make_pipeline() as pipeline:
        none = pipeline | beam.Create([]).with_output_types(Outcome)
        _ = none | WriteParquet(session)
    record = read_record(f"{tmp_path}/runs/r1.json")
    assert [model.id for model in record.models] == ["owner/one", "owner/two"]
    assert record.files == ()
