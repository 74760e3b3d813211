"""Rows are gathered into batches by their bytes: Arrow's text has a limit, and memory has one."""

import dataclasses
import pathlib

import pyarrow.parquet as pq
import pytest

from imgcls_beam.elements import Failure, ImageRef, Outcome, Prediction, Skipped
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.scoring import AppliedParameters, Execution
from imgcls_beam.sinks.parquet import BATCH_ROWS, _StageRows, weigh
from imgcls_beam.spec import LabelScore
from tests.staged import NOON, SCORING, begin

APPLIED = AppliedParameters(5, "softmax", "model")
EXECUTION = Execution("cpu", "float32", 8, 2.0, NOON)
REF = ImageRef("gs://b/a")


def make_failure(ref: ImageRef, message: str = "gone") -> Failure:
    code = FailureCode.NOT_FOUND
    return Failure(ref, Stage.READ, code, message, failed_at=NOON, scoring=SCORING)


def make_prediction(*labels: LabelScore) -> Prediction:
    return Prediction(REF, labels, None, APPLIED, EXECUTION, SCORING)


@pytest.mark.parametrize(
    ("heavy", "light"),
    [
        (make_failure(ImageRef("a" * 5000)), make_failure(REF)),
        (make_failure(ImageRef("a", attributes={"a": "a" * 5000})), make_failure(REF)),
        (make_failure(ImageRef("a", request_id="a" * 5000)), make_failure(REF)),
        (make_failure(REF, "a" * 5000), make_failure(REF)),
        (make_prediction(LabelScore("a" * 5000, 0.5)), make_prediction(LabelScore("a", 0.5))),
        (make_prediction(*[LabelScore("cat", 0.5)] * 300), make_prediction()),
        (Skipped(ImageRef("a", attributes={"a": "a" * 5000}), SCORING), Skipped(REF, SCORING)),
    ],
)
def test_each_text_of_a_row_has_its_weight(heavy: Outcome, light: Outcome) -> None:
    assert 4900 < weigh(heavy) - weigh(light) < 10_000


@pytest.mark.long(minutes=1)
def test_a_thousand_rows_of_2_mb_attributes_are_staged(tmp_path: pathlib.Path) -> None:
    """More than 2 GiB of text in one batch is a `TypeError` of Arrow's."""
    attributes = {"text": "a" * 2_100_000}
    stage, session = _StageRows(), begin(str(tmp_path))
    stage.setup()
    stage.start_bundle()
    for index in range(BATCH_ROWS):
        row = make_failure(dataclasses.replace(REF, uri=f"gs://b/{index}", attributes=attributes))
        stage.process(row, session)
    ((staged,),) = [(each.value,) for each in stage.finish_bundle()]
    assert sum(file.rows for file in staged.files) == BATCH_ROWS
    groups = pq.read_metadata(tmp_path / staged.files[0].path)
    assert groups.num_row_groups > 50
