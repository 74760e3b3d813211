import dataclasses
import datetime
import json
import pathlib
import pickle
from typing import Any

import pyarrow as pa
import pytest

from imgcls_beam import rows
from imgcls_beam.elements import Failure, ImageFacts, ImageRef, Outcome, Prediction
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.scoring import AppliedParameters, Execution, ModelSource, Scoring
from imgcls_beam.spec import LabelScore
from tests.spec_parsers import parse_response

NOON = datetime.datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=datetime.UTC)
FACTS = ImageFacts(1234, "ab" * 32, 640, 480, "JPEG")
REF = ImageRef("gs://bucket/cat.jpg", "17", 1234, NOON, {"split": "test"}, "request-1")
COMMIT = "0123456789abcdef" * 2 + "01234567"
MODEL = ModelSource("google/vit-base-patch16-224", COMMIT, "google/vit-base-patch16-224", COMMIT)
SCORING = Scoring(MODEL, 5, "softmax")
VERSIONS = '{"torch":"2.13"}'

CONTRACT_COLUMNS = [
    *("image_uri", "image_version", "image_sha256", "image_bytes", "image_width", "image_height"),
    *("image_format", "image_updated_at"),
    *("status", "predictions", "top_label", "top_score", "top_margin", "error", "params"),
    *("model_id", "model_revision", "model_key"),
    *("predicted_at", "device", "dtype", "batch_size", "preprocess_ms", "inference_ms"),
    *("library_versions", "request_id", "attributes", "shared_with", "duplicates"),
]


def make_prediction(
    labels: tuple[LabelScore, ...] = (LabelScore("cat", 0.75), LabelScore("dog", 0.25)),
    ref: ImageRef = REF,
    **changes: Any,
) -> Prediction:
    fields: dict[str, Any] = {
        "margin": 0.5,
        "applied": AppliedParameters(2, "sigmoid", "request"),
        "execution": Execution("cuda:0", "bfloat16", 32, 1.5, NOON),
        "facts": FACTS,
        "prepare_ms": 3.25,
        "scoring": SCORING,
    }
    return Prediction(ref=ref, labels=labels, **(fields | changes))


def make_failure(ref: ImageRef = REF, facts: ImageFacts | None = None) -> Failure:
    return Failure(
        ref=ref,
        stage=Stage.READ,
        code=FailureCode.NOT_FOUND,
        message="no such object",
        tries=3,
        facts=facts,
        failed_at=NOON,
        scoring=SCORING,
    )


def make_row(outcome: Outcome) -> dict[str, Any]:
    batch = rows.to_record_batch([outcome], VERSIONS)
    batch.validate(full=True)
    row: dict[str, Any] = batch.to_pylist()[0]
    return row


def test_the_columns_are_those_of_the_contract_in_its_order() -> None:
    assert rows.SCHEMA.names == CONTRACT_COLUMNS


def test_the_keys_of_the_path_are_no_columns() -> None:
    assert not {"run_date", "model", "run_id"} & set(rows.SCHEMA.names)


def test_the_committed_description_is_what_the_code_says() -> None:
    path = pathlib.Path(__file__).parents[2] / "schemas" / "predictions.arrow.json"
    text = json.dumps(rows.describe_schema(), indent=2, ensure_ascii=False) + "\n"
    assert path.read_text(encoding="utf-8") == text


def test_every_column_is_described_in_one_line() -> None:
    descriptions = [field.metadata[b"description"].decode() for field in rows.SCHEMA]
    assert all(text.strip() and "\n" not in text for text in descriptions)
    assert len(set(descriptions)) == len(descriptions)


def test_a_prediction_becomes_a_complete_row() -> None:
    assert make_row(make_prediction()) == {
        "image_uri": "gs://bucket/cat.jpg",
        "image_version": "17",
        "image_sha256": "ab" * 32,
        "image_bytes": 1234,
        "image_width": 640,
        "image_height": 480,
        "image_format": "JPEG",
        "image_updated_at": NOON,
        "status": "ok",
        "predictions": [{"label": "cat", "score": 0.75}, {"label": "dog", "score": 0.25}],
        "top_label": "cat",
        "top_score": 0.75,
        "top_margin": 0.5,
        "error": None,
        "params": {"top_k": 2, "function_to_apply": "sigmoid", "function_source": "request"},
        "model_id": "google/vit-base-patch16-224",
        "model_revision": COMMIT,
        "model_key": "google/vit-base-patch16-224@0123456789ab",
        "predicted_at": NOON,
        "device": "cuda:0",
        "dtype": "bfloat16",
        "batch_size": 32,
        "preprocess_ms": 3.25,
        "inference_ms": 1.5,
        "library_versions": '{"torch":"2.13"}',
        "request_id": "request-1",
        "attributes": '{"split":"test"}',
        "shared_with": None,
        "duplicates": 0,
    }


def test_a_failure_becomes_a_row_with_its_reason_and_no_result() -> None:
    row = make_row(make_failure())
    reason = {"stage": "read", "code": "not_found", "message": "no such object", "attempts": 3}
    assert row["status"] == "error"
    assert row["error"] == reason
    assert row["predictions"] == []
    assert row["predicted_at"] == NOON
    empty = ("top_label", "top_score", "top_margin", "device", "dtype", "batch_size")
    assert [row[name] for name in (*empty, "preprocess_ms", "inference_ms")] == [None] * 8
    assert row["image_uri"] == REF.uri


@pytest.mark.parametrize(
    ("function", "source"), [(None, None), ("softmax", "job"), ("none", "job")]
)
def test_a_failure_says_what_the_job_asked_for(function: Any, source: str | None) -> None:
    asked = dataclasses.replace(SCORING, top_k=7, function_to_apply=function)
    params = make_row(dataclasses.replace(make_failure(), scoring=asked))["params"]
    assert params == {"top_k": 7, "function_to_apply": function, "function_source": source}


@pytest.mark.parametrize(
    ("facts", "size_bytes"), [(None, 1234), (ImageFacts(99, "cd" * 32), 99), (FACTS, 1234)]
)
def test_a_failure_tells_as_much_of_the_image_as_was_known(
    facts: ImageFacts | None, size_bytes: int
) -> None:
    row = make_row(make_failure(facts=facts))
    assert row["image_bytes"] == size_bytes
    assert row["image_sha256"] == (facts.sha256 if facts else None)
    assert row["image_width"] == (facts.width_px if facts else None)


def test_rows_of_both_kinds_keep_their_order() -> None:
    refs = [ImageRef(f"s3://b/{i}") for i in range(6)]
    outcomes: list[Outcome] = [
        make_failure(ref=ref) if i % 3 == 1 else make_prediction(ref=ref)
        for i, ref in enumerate(refs)
    ]
    table = rows.to_record_batch(outcomes, VERSIONS).to_pydict()
    assert table["image_uri"] == [ref.uri for ref in refs]
    assert table["status"] == ["ok", "error", "ok", "ok", "error", "ok"]
    assert [len(labels) for labels in table["predictions"]] == [2, 0, 2, 2, 0, 2]


def test_a_bare_reference_leaves_nulls_and_nothing_else() -> None:
    row = make_row(make_prediction(ref=ImageRef("memory://x"), facts=None, prepare_ms=None))
    names = [name for name in CONTRACT_COLUMNS if name.startswith("image_")]
    assert [row[name] for name in names] == ["memory://x"] + [None] * 7
    assert (row["preprocess_ms"], row["request_id"], row["attributes"]) == (None, None, None)


def test_no_outcome_makes_an_empty_batch_of_the_same_schema() -> None:
    batch = rows.to_record_batch([], VERSIONS)
    assert batch.num_rows == 0
    assert batch.schema.equals(rows.SCHEMA, check_metadata=True)


def test_predictions_are_the_tasks_response() -> None:
    labels = tuple(LabelScore(f"label {i}", 1.0 / (i + 1)) for i in range(1000))
    written = make_row(make_prediction(labels=labels))["predictions"]
    assert parse_response(written) == labels


def test_a_one_label_model_has_no_margin() -> None:
    row = make_row(make_prediction(labels=(LabelScore("only", 0.9),), margin=None))
    assert (row["top_label"], row["top_margin"]) == ("only", None)


SURROGATE = "caf\udce9.jpg"
"""What Python makes of a Latin-1 file name on a UTF-8 disk."""


@pytest.mark.parametrize(
    ("column", "outcome"),
    [
        ("image_uri", make_failure(ref=ImageRef(SURROGATE))),
        ("attributes", make_failure(ref=ImageRef("a", attributes={"name": SURROGATE}))),
        ("request_id", make_failure(ref=ImageRef("a", request_id=SURROGATE))),
        ("top_label", make_prediction(labels=(LabelScore(SURROGATE, 1.0),))),
    ],
)
def test_text_that_utf8_cannot_carry_costs_one_character_and_no_batch(
    column: str, outcome: Outcome
) -> None:
    batch = rows.to_record_batch([make_prediction(), outcome, make_failure()], VERSIONS)
    batch.validate(full=True)
    assert batch[column][1].as_py() in ("caf\ufffd.jpg", '{"name":"caf\ufffd.jpg"}')
    assert batch["image_uri"][0].as_py() == REF.uri


@pytest.mark.parametrize("label", ["=HYPERLINK('x')", "<script>", "a\nb\x00c", "猫🐈", ""])
def test_odd_labels_are_passed_on_as_they_are(label: str) -> None:
    row = make_row(make_prediction(labels=(LabelScore(label, 0.5),)))
    assert row["predictions"] == [{"label": label, "score": 0.5}]
    assert row["top_label"] == label


def test_a_top_k_beyond_any_column_does_not_cost_the_batch() -> None:
    applied = AppliedParameters(10**18, "softmax", "request")
    assert make_row(make_prediction(applied=applied))["params"]["top_k"] == 2**31 - 1


@pytest.mark.parametrize(("listed", "written"), [(0, 0), (7, 7), (10**18, 2**31 - 1)])
def test_equal_references_and_an_equal_image_stand_in_the_row(listed: int, written: int) -> None:
    ref = dataclasses.replace(REF, duplicates=listed)
    row = make_row(make_prediction(ref=ref, shared_with="gs://bucket/first.jpg"))
    assert (row["duplicates"], row["shared_with"]) == (written, "gs://bucket/first.jpg")
    assert make_row(make_failure(ref=ref))["duplicates"] == written


def test_every_label_may_be_asked_for() -> None:
    applied = AppliedParameters(None, "softmax", "model")
    assert make_row(make_prediction(applied=applied))["params"]["top_k"] is None


def test_a_scoring_is_small_and_survives_pickling() -> None:
    pickled = pickle.dumps(SCORING)
    assert pickle.loads(pickled) == SCORING
    assert len(pickled) < 1000


def test_the_list_child_has_its_compliant_name() -> None:
    kind = rows.SCHEMA.field("predictions").type
    assert (kind.value_field.name, kind.value_field.nullable) == ("element", False)
    assert not rows.SCHEMA.field("predictions").nullable


def test_times_are_kept_to_the_microsecond_in_utc() -> None:
    assert rows.SCHEMA.field("predicted_at").type == pa.timestamp("us", tz="UTC")
    paris = datetime.timezone(datetime.timedelta(hours=1))
    at = NOON.astimezone(paris)
    execution = Execution("cpu", "float32", 1, 1.0, at)
    assert make_row(make_prediction(execution=execution))["predicted_at"] == NOON
