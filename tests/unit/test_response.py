"""Responses, and the messages of both directions."""

import copy
import json
import math
import pickle
from typing import Any

import pytest

from imgcls_beam.spec import (
    NO_PARAMETERS,
    LabelScore,
    Parameters,
    SpecError,
    parse_parameters,
    to_response,
)
from tests.spec_parsers import Request, parse_request, parse_response

TEXT = "QUJD"


def test_labels_survive_the_round_trip_as_json() -> None:
    labels = (
        LabelScore("tabby, tabby cat", 0.75),
        LabelScore('=HYPERLINK("x")\n<script>', 1e-300),
        LabelScore("", 0.0),
        LabelScore("logit", -12.5),
    )
    response = to_response(labels)
    assert response[0] == {"label": "tabby, tabby cat", "score": 0.75}
    assert parse_response(json.loads(json.dumps(response))) == labels
    assert parse_response(to_response(())) == ()


def test_the_order_of_a_response_is_the_order_given() -> None:
    labels = [LabelScore("b", 0.1), LabelScore("a", 0.7), LabelScore("b", 0.2)]
    assert [each["label"] for each in to_response(labels)] == ["b", "a", "b"]


def test_an_integer_score_becomes_a_float() -> None:
    (label,) = parse_response([{"label": "cat", "score": 1}])
    assert type(label.score) is float


@pytest.mark.parametrize(
    ("response", "field"),
    [
        ([{"label": "cat", "score": math.nan}], "response[0].score"),
        ([{"label": "cat", "score": math.inf}], "response[0].score"),
        ([{"label": "cat", "score": -math.inf}], "response[0].score"),
        ([{"label": "cat", "score": 10**400}], "response[0].score"),
        ([{"label": "cat", "score": True}], "response[0].score"),
        ([{"label": "cat", "score": "0.5"}], "response[0].score"),
        ([{"label": "cat", "score": None}], "response[0].score"),
        ([{"label": "cat"}], "response[0].score"),
        ([{"score": 0.5}], "response[0].label"),
        ([{"label": 5, "score": 0.5}], "response[0].label"),
        ([{"label": "a", "score": 1}, {"label": None, "score": 0}], "response[1].label"),
        ([{"label": "a", "score": 1, "rank": 1}], "response[0].rank"),
        ([["cat", 0.5]], "response[0]"),
        ([None], "response[0]"),
        ({"label": "cat", "score": 0.5}, "response"),
        ("[]", "response"),
        (b"[]", "response"),
        (None, "response"),
    ],
)
def test_a_response_of_another_form_is_refused(response: Any, field: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_response(response)
    assert refused.value.field == field


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_no_number_of_json_text_is_read_as_a_score_that_is_not_finite(number: str) -> None:
    with pytest.raises(SpecError, match="finite"):
        parse_response(json.loads(f'[{{"label": "cat", "score": {number}}}]'))


@pytest.mark.parametrize(
    "payload",
    [
        {"inputs": "?" * 100_000},
        {"inputs": b"?" * 100_000},
        {"inputs": ["?" * 100_000] * 10},
        {"inputs": {"?" * 100_000: 1}},
        {"inputs": TEXT, "parameters": {"top_k": "9" * 100_000}},
        {"inputs": TEXT, "parameters": {"x" * 100_000: 1}},
        {"x" * 100_000: "y" * 100_000},
        "{" * 100_000,
    ],
)
def test_a_long_value_is_cut_in_the_message(payload: Any) -> None:
    with pytest.raises(SpecError, match="…") as refused:
        parse_request(payload)
    assert len(str(refused.value)) < 200
    assert len(refused.value.field) < 50
    assert len(pickle.dumps(refused.value)) < 500


def test_a_value_that_just_fits_is_shown_whole() -> None:
    with pytest.raises(SpecError) as refused:
        parse_parameters("x" * 38)
    assert f"is '{'x' * 38}'; " in str(refused.value)
    with pytest.raises(SpecError) as refused:
        parse_parameters("x" * 39)
    assert f"is '{'x' * 39}…; " in str(refused.value)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "a\u2028b", "\ud800"])
def test_a_field_of_control_characters_is_escaped_in_the_message(name: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_request({"inputs": TEXT, name: name})
    assert str(refused.value).isprintable()
    assert refused.value.field.isprintable()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_spec_error_travels_with_its_message_and_field(protocol: int) -> None:
    error = SpecError("parameters.top_k", 0, "1 or more")
    for twin in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert type(twin) is SpecError
        assert isinstance(twin, ValueError)
        assert str(twin) == str(error) == "parameters.top_k is 0; allowed: 1 or more"
        assert (twin.field, twin.allowed) == (error.field, error.allowed)
        assert twin.args == error.args


@pytest.mark.parametrize(
    "value",
    [
        Parameters("none", 3),
        NO_PARAMETERS,
        Request(b"ABC", Parameters(top_k=1)),
        LabelScore("a", 1),
    ],
)
def test_the_wire_types_travel_and_stay_as_they_are(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert hash(copy.copy(value)) == hash(value)
    assert not hasattr(value, "__dict__")
