"""What the runner counts."""

import dataclasses
import datetime
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.metrics.execution import MetricKey, MetricResult
from apache_beam.metrics.metricbase import MetricName

from imgcls_beam.board import Progress
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, Outcome, PixelArray, Prediction
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.metrics import (
    NAMESPACE,
    count_listed,
    count_outcome,
    count_prepared,
    count_read,
    read_progress,
)
from imgcls_beam.scoring import AppliedParameters, Execution
from imgcls_beam.spec import LabelScore
from tests.runners import make_pipeline
from tests.staged import SCORING

NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
IMAGE = PixelArray(ImageRef("memory://x"), {}, None, 0.4)
PREDICTION = Prediction(
    ref=IMAGE.ref,
    labels=(LabelScore("cat", 1.0),),
    margin=None,
    applied=AppliedParameters(1, "softmax", "model"),
    execution=Execution("cuda:0", "bfloat16", 128, 0.25, NOW),
    scoring=SCORING,
)


def test_histograms_keep_parts_of_a_millisecond() -> None:
    pipeline = make_pipeline()
    images = [dataclasses.replace(IMAGE, prepare_ms=each) for each in (0.4, 1.5)]
    _ = pipeline | "Images" >> beam.Create(images) | beam.Map(count_prepared)
    _ = pipeline | "Outcomes" >> beam.Create([PREDICTION]) | beam.Map(_count)
    result = pipeline.run()
    result.wait_until_finish()
    found = {
        each.key.metric.name: (each.committed.min, each.committed.max, each.committed.sum)
        for each in result.metrics().query()["distributions"]
    }
    assert found["prepare_us"] == (400, 1500, 1900)
    assert found["predict_us"] == (250, 250, 250)


def _count(outcome: Outcome) -> None:
    count_outcome(outcome, reached_model=True)


def _fail(stage: Stage, code: FailureCode) -> Failure:
    return Failure(IMAGE.ref, stage, code, "it failed")


def test_progress_adds_up_what_the_engine_counts_of_each_stage() -> None:
    steps: dict[str, tuple[Any, list[Any]]] = {
        "Listed": (count_listed, [1, 1, 3, 1, 1, 1, 1]),
        "Read": (
            count_read,
            [_fail(Stage.READ, FailureCode.NOT_FOUND)] + [EncodedImage(IMAGE.ref, b"x")] * 6,
        ),
        "Prepared": (
            count_prepared,
            [_fail(Stage.PREPARE, FailureCode.CORRUPT)] * 2 + [IMAGE] * 4,
        ),
        "Classified": (
            _count,
            [_fail(Stage.PREDICT, FailureCode.OUT_OF_MEMORY)] + [PREDICTION] * 3,
        ),
    }
    pipeline = make_pipeline()
    for name, (count, elements) in steps.items():
        _ = pipeline | name >> beam.Create(elements) | f"Count{name}" >> beam.Map(count)
    result = pipeline.run()
    result.wait_until_finish()
    assert read_progress(result) == Progress(listed=7, ok=3, error=4, duplicates=2)


class _Counting:
    """What a runner gives of a job: its counters, of two steps that have one name."""

    def __init__(self, *pairs: tuple[int | None, int | None]) -> None:
        self._pairs = pairs

    def metrics(self) -> "_Counting":
        return self

    def query(self, _: object) -> dict[str, list[MetricResult]]:
        name = MetricName(NAMESPACE, "predict_ok")
        keys = [MetricKey(f"step {index}", name) for index in range(len(self._pairs))]
        return {
            "counters": [
                MetricResult(key, *pair) for key, pair in zip(keys, self._pairs, strict=True)
            ]
        }


@pytest.mark.parametrize(
    ("pairs", "ok"), [([(None, 5), (None, 2)], 7), ([(5, None)], 5), ([(4, 6), (0, 0)], 6)]
)
def test_progress_counts_what_is_not_committed_yet(
    pairs: list[tuple[int | None, int | None]], ok: int
) -> None:
    """Engines have the one or the other while a job runs."""
    result: Any = _Counting(*pairs)
    assert read_progress(result).ok == ok
