import datetime
import json
from collections.abc import Sequence

import pytest

from imgcls_beam.elements import Failure, ImageFacts, ImageRef, Outcome, Prediction
from imgcls_beam.errors import STAGE_OF, FailureCode
from imgcls_beam.rows import to_record_batch
from imgcls_beam.scoring import AppliedParameters, Execution
from imgcls_beam.spec import LabelScore
from imgcls_beam.summary import BINS, Summary, merge_summaries, summarize
from tests.staged import NOON, SCORING


def make_prediction(label: str, score: float, seconds: int = 0) -> Prediction:
    at = NOON + datetime.timedelta(seconds=seconds)
    return Prediction(
        ref=ImageRef("a"),
        labels=(LabelScore(label, score),),
        margin=None,
        applied=AppliedParameters(1, "softmax", "model"),
        execution=Execution("cpu", "float32", 8, 2.0, at),
        scoring=SCORING,
        facts=ImageFacts(100, "ab" * 32),
        prepare_ms=0.5,
    )


def make_failure(code: FailureCode, size_bytes: int | None = None) -> Failure:
    ref = ImageRef("a", size_bytes=size_bytes)
    return Failure(ref, STAGE_OF[code], code, "text", failed_at=NOON, scoring=SCORING)


def sum_up(outcomes: Sequence[Outcome]) -> Summary:
    return summarize(to_record_batch(outcomes))


MIXED: list[Outcome] = [
    make_prediction("cat", 0.96, 5),
    make_prediction("dog", 0.51),
    make_prediction("cat", 0.94, 9),
    make_failure(FailureCode.NOT_FOUND),
    make_failure(FailureCode.TRUNCATED),
    make_failure(FailureCode.NOT_FOUND),
    make_failure(FailureCode.TOO_MANY_BYTES, size_bytes=10**12),
]


def test_rows_are_counted_by_status_label_and_reason() -> None:
    summary = sum_up(MIXED)
    assert summary.statuses == {"ok": 3, "error": 4}
    assert summary.labels == {"cat": 2, "dog": 1}
    assert summary.errors == {
        ("read", "not_found"): 2,
        ("prepare", "truncated"): 1,
        ("read", "too_many_bytes"): 1,
    }
    assert summary.rows == len(MIXED)


def test_times_and_costs_are_added_up() -> None:
    summary = sum_up(MIXED)
    assert (summary.preprocess_ms, summary.inference_ms) == (1.5, 6.0)
    assert summary.first_at == NOON
    assert summary.last_at == NOON + datetime.timedelta(seconds=9)


def test_bytes_of_an_object_that_was_not_read_do_not_count() -> None:
    assert sum_up(MIXED).bytes_read == 300


@pytest.mark.parametrize(
    ("score", "place"),
    [
        (-3.5, 0),
        (0.0, 1),
        (-0.0, 1),
        (0.049, 1),
        (0.05, 2),
        (0.5, 11),
        (0.95, BINS),
        (0.999, BINS),
        (1.0, BINS),
        (1.0000001, BINS + 1),
        (25.0, BINS + 1),
    ],
)
def test_each_score_falls_into_its_bin(score: float, place: int) -> None:
    scores = sum_up([make_prediction("cat", score)]).scores
    assert [i for i, count in enumerate(scores) if count] == [place]


@pytest.mark.parametrize("cut", range(len(MIXED) + 1))
def test_parts_add_up_to_the_whole(cut: int) -> None:
    parts = [sum_up(MIXED[:cut]), sum_up(MIXED[cut:])]
    assert merge_summaries(parts) == sum_up(MIXED)
    assert merge_summaries(reversed(parts)).to_json() == sum_up(MIXED).to_json()


def test_nothing_adds_up_to_nothing() -> None:
    assert merge_summaries([]) == Summary() == sum_up([])
    assert Summary().rows == 0


def test_the_most_frequent_label_stands_first_and_ties_go_by_name() -> None:
    labels = ["b", "c", "c", "a", "ä", "B"]
    shown = sum_up([make_prediction(label, 0.5) for label in labels]).to_json()["labels"]
    assert [(entry["label"], entry["count"]) for entry in shown] == [
        ("c", 2),
        ("B", 1),
        ("a", 1),
        ("b", 1),
        ("ä", 1),
    ]


def test_every_label_is_kept_however_many_there_are() -> None:
    outcomes = [make_prediction(f"label {i}", 0.5) for i in range(3000)]
    halves = [sum_up(outcomes[:1500]), sum_up(outcomes[1500:])]
    assert len(merge_summaries(halves).to_json()["labels"]) == 3000


def test_the_json_form_names_every_status_and_is_json() -> None:
    shown = json.loads(json.dumps(sum_up(MIXED).to_json()))
    assert shown["counts"] == {"ok": 3, "error": 4, "skipped": 0}
    assert shown["errors"][0] == {"stage": "read", "code": "not_found", "count": 2}
    assert len(shown["score_histogram"]["bins"]) == BINS
    assert shown["first_at"] == "2026-11-23T12:00:00+00:00"


def test_the_json_form_of_no_rows_is_complete() -> None:
    shown = Summary().to_json()
    assert shown.keys() == sum_up(MIXED).to_json().keys()
    assert shown["counts"] == {"ok": 0, "error": 0, "skipped": 0}
