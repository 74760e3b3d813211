"""The lines that go in by `--requests` and come out by `--output_jsonl`, schema against code."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef, Prediction
from imgcls_beam.errors import STAGE_OF, FailureCode
from imgcls_beam.lines import encode_line
from imgcls_beam.reading.request_images import MAX_ID_CHARS, open_request
from imgcls_beam.scoring import AppliedParameters, Execution
from imgcls_beam.spec import LabelScore
from schemas import load_schema
from tests.staged import NOON, SCORING

REQUEST, RESPONSE = load_schema("request"), load_schema("response")
REQUEST_LINE, RESPONSE_LINE = load_schema("request_line"), load_schema("response_line")

GOOD_LINES: list[Any] = [
    {"inputs": "QUJD"},
    *({"inputs": "QUJD", "id": each} for each in (None, "", "a", 0, 7, -7, "x" * MAX_ID_CHARS)),
    {"id": 7, "inputs": "QUJD", "parameters": {"top_k": 1, "function_to_apply": "none"}},
    *({"inputs": "QUJD", "parameters": each} for each in (None, {}, {"top_k": None})),
]
BAD_LINES: list[Any] = [
    *({}, {"id": 7}, None, 5, [], [{"inputs": "QUJD"}], {"inputs": ""}, {"inputs": ["QUJD"]}),
    *({"inputs": "QUJD", "id": each} for each in (True, 7.5, [], {}, "x" * (MAX_ID_CHARS + 1))),
    *({"inputs": "QUJD", each: 1} for each in ("Id", "ID", "options", "")),
    *({"inputs": "QUJD", "parameters": each} for each in (5, [], {"top_k": 0}, {"id": 7})),
]


def is_valid(schema: dict[str, Any], payload: object) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(payload))


@pytest.mark.parametrize("schema", [REQUEST_LINE, RESPONSE_LINE])
def test_the_schemas_are_valid_json_schema_and_closed(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert all(each["description"] for each in schema["properties"].values())
    assert load_schema(schema["$id"].removesuffix(".json")) == schema


def test_a_line_is_a_request_and_an_id() -> None:
    properties = dict(REQUEST_LINE["properties"])
    assert properties.pop("id")["maxLength"] == MAX_ID_CHARS
    assert properties == REQUEST["properties"]
    assert REQUEST_LINE["required"] == REQUEST["required"]


def test_a_line_that_comes_out_holds_the_response_of_the_task_or_a_known_reason() -> None:
    assert RESPONSE_LINE["properties"]["response"]["items"] == RESPONSE["items"]
    error = RESPONSE_LINE["properties"]["error"]["properties"]
    assert set(error["stage"]["enum"]) == set(STAGE_OF.values())
    assert set(error["code"]["enum"]) == set(FailureCode)


@pytest.mark.parametrize(
    ("line", "is_good"),
    [*((each, True) for each in GOOD_LINES), *((each, False) for each in BAD_LINES)],
)
def test_schema_and_parsing_agree_on_lines(line: Any, is_good: bool) -> None:
    assert is_valid(REQUEST_LINE, line) is is_good
    opened = open_request(EncodedImage(ImageRef("r.jsonl::1"), json.dumps(line).encode()))
    assert isinstance(opened, EncodedImage) is is_good


@pytest.mark.parametrize("code", FailureCode)
def test_every_failure_is_a_line_of_the_schema(code: FailureCode) -> None:
    failure = Failure(ImageRef("a", request_id=7), STAGE_OF[code], code, "why")
    assert is_valid(RESPONSE_LINE, json.loads(encode_line(failure)))


@pytest.mark.parametrize("labels", [(), (LabelScore("", 0.5), LabelScore("a\nb", -3.5))])
@pytest.mark.parametrize("request_id", [None, "", "a", 0])
def test_every_prediction_is_a_line_of_the_schema(
    request_id: str | int | None, labels: tuple[LabelScore, ...]
) -> None:
    prediction = Prediction(
        ref=ImageRef("a", request_id=request_id),
        labels=labels,
        margin=None,
        applied=AppliedParameters(None, "none", "job"),
        execution=Execution("cpu", "float32", 1, 1.0, NOON),
        scoring=SCORING,
    )
    line = json.loads(encode_line(prediction))
    assert is_valid(RESPONSE_LINE, line)
    assert not is_valid(RESPONSE_LINE, {**line, "error": line["response"]})
    assert not is_valid(RESPONSE_LINE, {"image_uri": "a"})
