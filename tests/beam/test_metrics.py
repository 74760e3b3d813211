"""What the runner counts."""

import dataclasses
import datetime

import apache_beam as beam

from imgcls_beam.elements import ImageRef, Outcome, PixelArray, Prediction
from imgcls_beam.metrics import count_outcome, count_prepared
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
