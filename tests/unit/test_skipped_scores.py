"""Whose scores the views show of an image that a run has skipped."""

import dataclasses
import datetime
import json
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from imgcls_beam.elements import Failure, ImageFacts, ImageRef, Outcome, Prediction, Skipped
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.rows import to_record_batch
from imgcls_beam.scoring import AppliedParameters, Execution, Preprocess
from imgcls_beam.spec import LabelScore
from imgcls_beam.warehouse.views import DUCKDB, render_views
from tests.gallery import MODEL_A, MODEL_B, ask, make_run
from tests.staged import Run


@dataclasses.dataclass(frozen=True)
class Night:
    """What a run finds of the image, asks of the model, and says: a label, `skipped` or `error`."""

    says: str
    version: str | None = "1"
    top_k: int | None = 5
    function: Any = None
    preprocess: Preprocess = "exact"
    model: tuple[str, str] = MODEL_A
    sku: str = "A"


def open_nights(nights: list[Night]) -> duckdb.DuckDBPyConnection:
    """The views over a run for each night, `n1` and so on."""
    rows, runs = [], []
    for number, night in enumerate(nights, start=1):
        run = make_run(f"n{number}", number, night.model)
        run = dataclasses.replace(run, top_k=night.top_k, function_to_apply=night.function)
        table = pa.Table.from_batches([to_record_batch([make_outcome(night, run)])])
        table = table.append_column("run_id", pa.array([run.run_id]))
        rows.append(table.append_column("run_date", pa.array([run.run_date])))
        asked = json.dumps({"decode": {"preprocess": night.preprocess}})
        runs.append({"run_id": run.run_id, "state": "DONE", "configuration": asked})
    connection = duckdb.connect()
    connection.register("predictions", pa.concat_tables(rows))
    connection.register("prediction_runs", pa.Table.from_pylist(runs))
    connection.execute(render_views(DUCKDB))
    return connection


def make_outcome(night: Night, run: Run) -> Outcome | Skipped:
    at = datetime.datetime.combine(run.run_date, datetime.time(2), datetime.UTC)
    ref = ImageRef("gs://shop/0.jpg", night.version, attributes={"sku": night.sku})
    if night.says == "skipped":
        return Skipped(ref, run.scoring, at)
    if night.says == "error":
        code = FailureCode.NOT_FOUND
        return Failure(ref, Stage.READ, code, "gone", failed_at=at, scoring=run.scoring)
    source = "job" if night.function else "model"
    applied = AppliedParameters(night.top_k, night.function or "softmax", source)
    labels = (LabelScore(night.says, 0.9),)
    facts = ImageFacts(1000, f"{ord(night.version or '0'):064x}", 640, 480, "JPEG")
    execution = Execution("cpu", "float32", 8, 2.0, at)
    return Prediction(ref, labels, None, applied, execution, run.scoring, facts, 1.0)


CAT, DOG, SKIPPED = Night("cat"), Night("dog", "2"), Night("skipped")
SHOWN: dict[str, tuple[list[Night], list[tuple[str, str, str]]]] = {
    "the version before": ([CAT, DOG, SKIPPED], [("n3", "n1", "cat")]),
    "the last of that version": (
        [CAT, dataclasses.replace(CAT, says="fox"), DOG, SKIPPED],
        [("n4", "n2", "fox")],
    ),
    "other labels": ([CAT, Night("dog", top_k=2), SKIPPED], [("n3", "n1", "cat")]),
    "all labels": (
        [Night("cat", top_k=None), Night("dog"), Night("skipped", top_k=None)],
        [("n3", "n1", "cat")],
    ),
    "another function": ([CAT, Night("dog", function="sigmoid"), SKIPPED], [("n3", "n1", "cat")]),
    "the same function, asked for by its name": (
        [CAT, Night("dog", function="softmax"), SKIPPED],
        [("n3", "n1", "cat")],
    ),
    "a function by its name": (
        [Night("cat", function="softmax"), Night("dog"), Night("skipped", function="softmax")],
        [("n3", "n1", "cat")],
    ),
    "no version": (
        [Night("cat", None), DOG, Night("skipped", None)],
        [("n3", "n1", "cat")],
    ),
    "another preparation": (
        [CAT, Night("dog", preprocess="fast"), SKIPPED],
        [("n3", "n1", "cat")],
    ),
    "new values": ([CAT, DOG, Night("skipped", sku="B")], [("n3", "n1", "cat")]),
    "another model": ([CAT, Night("dog", model=MODEL_B), SKIPPED], [("n3", "n1", "cat")]),
    "an error is no score": ([CAT, Night("error", "2"), SKIPPED], [("n3", "n1", "cat")]),
    "a run whose scores are gone": ([DOG, SKIPPED], []),
    "an image that failed": ([CAT, DOG, Night("error")], [("n3", "n2", "dog")]),
    "an image that failed after it was skipped": (
        [CAT, DOG, SKIPPED, Night("error")],
        [("n4", "n2", "dog")],
    ),
    "an image that was scored": ([DOG, CAT], [("n2", "n2", "cat")]),
}


@pytest.mark.parametrize(("nights", "shown"), SHOWN.values(), ids=list(SHOWN))
def test_latest_shows(nights: list[Night], shown: list[tuple[str, str, str]]) -> None:
    asked = "run_id, predicted_run_id, top_label, attributes ->> '$.sku', image_version"
    rows = ask(
        open_nights(nights),
        f"SELECT {asked} FROM predictions_latest WHERE model_id = '{MODEL_A[0]}' AND status = 'ok'",
    )
    assert [row[:3] for row in rows] == shown
    for row in rows:
        listed, scored = (nights[int(run_id[1:]) - 1] for run_id in row[:2])
        assert row[3:] == (listed.sku, scored.version)


def test_models_are_compared_by_the_scores_that_hold_now() -> None:
    connection = open_nights([CAT, DOG, SKIPPED, Night("cat", model=MODEL_B)])
    query = "SELECT run_id_a, run_id_b, top_label_a, top_label_b, agrees, same_content"
    expected = [("n4", "n1", "cat", "cat", True, True)]
    assert ask(connection, f"{query} FROM model_compare") == expected
