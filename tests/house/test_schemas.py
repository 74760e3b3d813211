"""The schemas, held against the code that parses and against the published types."""

import dataclasses
import json
import math
import types
import typing
from typing import Any

import huggingface_hub
import jsonschema  # type: ignore[import-untyped]
import pytest

from imgcls_beam.spec import (
    FUNCTIONS,
    Parameters,
    ResponseElement,
    SpecError,
)
from schemas import load_schema
from tests.spec_parsers import parse_request, parse_response

REQUEST = load_schema("request")
RESPONSE = load_schema("response")
PARAMETERS = REQUEST["properties"]["parameters"]

JSON_TYPE = {str: "string", int: "integer", float: "number", type(None): "null"}

TEXT = "QUJD"
EMPTY: list[Any] = [[], {}]
GOOD_PARAMETERS: list[Any] = [
    *(None, {}, {"top_k": 1}, {"top_k": 1000}, {"top_k": None}, {"function_to_apply": None}),
    *({"function_to_apply": each} for each in FUNCTIONS),
    {"function_to_apply": "softmax", "top_k": 5},
]
BAD_PARAMETERS: list[Any] = [
    *({"top_k": each} for each in (0, -1, 2.5, "5", "all", True, False, *EMPTY, [1])),
    *({"function_to_apply": each} for each in ("Softmax", "soft", "", 0, True, [], ["none"])),
    *({"topk": 5}, {"top_k": 5, "temperature": 1}, {"": None}),
    *([], "softmax", "", 5, 0, True, False, [{"top_k": 5}]),
]
GOOD_REQUESTS: list[Any] = [
    {"inputs": TEXT},
    {"inputs": "data:image/png;base64,QUJD"},
    {"inputs": "_-_-"},
    {"parameters": {"top_k": 2}, "inputs": "QU JD\n"},
    *({"inputs": TEXT, "parameters": each} for each in GOOD_PARAMETERS),
]
BAD_REQUESTS: list[Any] = [
    *({}, {"parameters": {}}, {"input": TEXT}, {"Inputs": TEXT}),
    *({"inputs": each} for each in (None, 5, True, *EMPTY, [TEXT], "")),
    *({"inputs": TEXT, each: None} for each in ("options", "id", "Parameters", "")),
    *({"inputs": TEXT, "parameters": each} for each in BAD_PARAMETERS),
    *(None, 5, True, [], [TEXT], [{"inputs": TEXT}]),
]
GOOD_RESPONSES: list[Any] = [
    [],
    [{"label": "cat", "score": 0.5}],
    [{"label": "", "score": 0}],
    [{"score": -3.5, "label": "LABEL_0"}, {"label": "LABEL_0", "score": 1e300}],
]
BAD_RESPONSES: list[Any] = [
    *([{}], [{"label": "cat"}], [{"score": 0.5}], [["cat", 0.5]], ["cat"], [None], [[]], [5]),
    *([{"label": each, "score": 0.5}] for each in (None, 5, True, ["cat"])),
    *([{"label": "cat", "score": each}] for each in (None, "0.5", True, [0.5])),
    *([{"label": "cat", "score": 0.5, each: 1}] for each in ("rank", "index", "")),
    [{"label": "cat", "score": 0.5}, {}],
    *({}, {"label": "cat", "score": 0.5}, "", "[]", None, 5, True),
]

# What a schema cannot say, or JSON cannot hold: the schema lets it pass, parsing refuses it.
ONLY_PARSING_REFUSES_REQUESTS: list[Any] = [
    pytest.param({"inputs": "QUJ!"}, id="letters that base64 does not have"),
    pytest.param({"inputs": "Q"}, id="a length that base64 does not have"),
    pytest.param({"inputs": "https://example.invalid/cat.jpg"}, id="a URL"),
    pytest.param({"inputs": "data:image/png,QUJD"}, id="a data URI without base64"),
    pytest.param({"inputs": "===="}, id="base64 of nothing"),
    pytest.param({"inputs": " \n"}, id="space"),
    pytest.param({"inputs": TEXT, "parameters": {"top_k": 5.0}}, id="a whole number as 5.0"),
]
ONLY_PARSING_REFUSES_RESPONSES: list[Any] = [
    *([{"label": "cat", "score": each}] for each in (math.nan, math.inf, -math.inf, 10**400)),
]


def is_parsed(parse: Any, payload: object) -> bool:
    try:
        parse(payload)
    except SpecError:
        return False
    return True


def is_valid(schema: dict[str, Any], payload: object) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(payload))


def describe_type(hint: Any) -> set[str]:
    """The words of JSON Schema for a type of the published classes, literals as themselves."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return set().union(*map(describe_type, typing.get_args(hint)))
    if typing.get_origin(hint) is typing.Literal:
        return set(typing.get_args(hint))
    return {"object"} if dataclasses.is_dataclass(hint) else {JSON_TYPE[hint]}


def describe_property(schema: dict[str, Any]) -> set[str]:
    """The same words, from a property of ours."""
    if "enum" in schema:
        return {"null" if each is None else each for each in schema["enum"]}
    named = schema["type"]
    return {named} if isinstance(named, str) else set(named)


@pytest.mark.parametrize("schema", [REQUEST, RESPONSE], ids=["request", "response"])
def test_the_schemas_are_valid_json_schema(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["description"]
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("schema", [REQUEST, PARAMETERS, RESPONSE["items"]])
def test_every_object_is_closed_and_every_field_described(schema: dict[str, Any]) -> None:
    assert schema["additionalProperties"] is False
    assert all(each["description"] for each in schema["properties"].values())


def test_each_schema_carries_its_own_name() -> None:
    assert (REQUEST["$id"], RESPONSE["$id"]) == ("request.json", "response.json")


def test_a_schema_that_is_not_there_is_said_so() -> None:
    with pytest.raises(FileNotFoundError, match="respond"):
        load_schema("respond")


@pytest.mark.parametrize(
    ("published", "ours"),
    [
        (huggingface_hub.ImageClassificationInput, REQUEST),
        (huggingface_hub.ImageClassificationParameters, PARAMETERS),
        (huggingface_hub.ImageClassificationOutputElement, RESPONSE["items"]),
    ],
)
def test_fields_types_and_what_is_required_are_those_of_the_published_types(
    published: Any, ours: dict[str, Any]
) -> None:
    hints = typing.get_type_hints(published)
    assert {name: describe_property(each) for name, each in ours["properties"].items()} == {
        name: describe_type(hint) for name, hint in hints.items()
    }
    required = [f.name for f in dataclasses.fields(published) if f.default is dataclasses.MISSING]
    assert ours.get("required", []) == required


def test_the_types_of_the_code_are_those_of_the_published_types() -> None:
    assert typing.get_type_hints(Parameters) == typing.get_type_hints(
        huggingface_hub.ImageClassificationParameters
    )
    assert typing.get_type_hints(ResponseElement) == typing.get_type_hints(
        huggingface_hub.ImageClassificationOutputElement
    )
    assert describe_property(PARAMETERS["properties"]["function_to_apply"]) == {*FUNCTIONS, "null"}


@pytest.mark.parametrize(
    ("payload", "is_good"),
    [*((each, True) for each in GOOD_REQUESTS), *((each, False) for each in BAD_REQUESTS)],
    ids=str,
)
def test_schema_and_parsing_agree_on_requests(payload: Any, is_good: bool) -> None:
    assert is_valid(REQUEST, payload) is is_good
    assert is_parsed(parse_request, payload) is is_good
    assert is_parsed(parse_request, json.dumps(payload)) is is_good


@pytest.mark.parametrize(
    ("payload", "is_good"),
    [*((each, True) for each in GOOD_RESPONSES), *((each, False) for each in BAD_RESPONSES)],
    ids=str,
)
def test_schema_and_parsing_agree_on_responses(payload: Any, is_good: bool) -> None:
    assert is_valid(RESPONSE, payload) is is_good
    assert is_parsed(parse_response, payload) is is_good


@pytest.mark.parametrize("payload", ONLY_PARSING_REFUSES_REQUESTS)
def test_what_the_request_schema_cannot_say_is_refused_by_parsing(payload: Any) -> None:
    assert is_valid(REQUEST, payload)
    assert not is_parsed(parse_request, payload)


@pytest.mark.parametrize("payload", ONLY_PARSING_REFUSES_RESPONSES, ids=["nan", "+", "-", "big"])
def test_what_the_response_schema_cannot_say_is_refused_by_parsing(payload: Any) -> None:
    assert is_valid(RESPONSE, payload)
    assert not is_parsed(parse_response, payload)


@pytest.mark.parametrize("payload", GOOD_REQUESTS[:4])
def test_the_published_type_reads_what_ours_accepts(payload: dict[str, Any]) -> None:
    read = huggingface_hub.ImageClassificationInput.parse_obj_as_instance(payload)
    assert read.inputs == payload["inputs"]
