"""Requests; responses and messages stand in `test_response.py`."""

import base64
import json
import math
import pathlib
from typing import Any

import pytest

from imgcls_beam.spec import (
    FUNCTIONS,
    NO_PARAMETERS,
    Parameters,
    SpecError,
    decode_image_text,
    parse_parameters,
)
from tests.spec_parsers import Request, parse_request

IMAGE = b"\xfb\xef\xff\xfe\x00"  # "++///gA=" holds both letters in which the alphabets differ
TEXT = base64.b64encode(IMAGE).decode()
URL_SAFE = base64.urlsafe_b64encode(IMAGE).decode()

JSON_FORMS = [dict, json.dumps]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT, id="standard"),
        pytest.param(URL_SAFE, id="url-safe"),
        pytest.param(TEXT.rstrip("="), id="not padded"),
        pytest.param(URL_SAFE.rstrip("="), id="url-safe, not padded"),
        pytest.param(TEXT + "==", id="padded too much"),
        pytest.param("+-" + TEXT[2:], id="both alphabets in one"),
        pytest.param(f" {TEXT[:3]}\r\n\t{TEXT[3:]}\n", id="broken over lines"),
        pytest.param(f"data:image/png;base64,{TEXT}", id="data URI"),
        pytest.param(f"data:;base64,{TEXT}", id="data URI without a type"),
        pytest.param(f"data:image/svg+xml;charset=utf-8;base64,{TEXT}", id="data URI, charset"),
        pytest.param(f"DATA:image/PNG;BASE64,{TEXT}", id="data URI in capitals"),
        pytest.param(f"\n data:image/jpeg;base64,\n{URL_SAFE}", id="data URI on lines"),
    ],
)
def test_base64_is_decoded_in_each_usual_spelling(text: str) -> None:
    assert decode_image_text(text) == IMAGE
    assert parse_request(json.dumps({"inputs": text})) == Request(IMAGE, NO_PARAMETERS)


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\r", "\f", "\v"])
def test_space_may_stand_anywhere_in_base64_and_in_its_padding(space: str) -> None:
    assert decode_image_text(space.join(["", *TEXT, ""])) == IMAGE
    assert decode_image_text(space.join(["", *URL_SAFE.rstrip("="), ""])) == IMAGE


@pytest.mark.parametrize("text", ["A-\u00a0A=", "QU\u2028JD", "QU\x1cJD", "QU\x00JD", "QUJD\u3000"])
def test_other_characters_that_look_like_space_are_refused(text: str) -> None:
    with pytest.raises(SpecError, match="base64"):
        decode_image_text(text)


@pytest.mark.parametrize("length", range(1, 7))
def test_images_of_every_length_modulo_three_survive(length: int) -> None:
    image = IMAGE * length
    for encoded in (base64.b64encode(image), base64.urlsafe_b64encode(image)):
        assert decode_image_text(encoded.decode()) == image
        assert decode_image_text(encoded.decode().rstrip("=")) == image


@pytest.mark.parametrize(
    "value",
    [
        *("", " \n", "=", "====", "data:image/png;base64,"),
        *("A", "AAAAA", "AA=A", "A!AA", "QUJD.", "ÄÖÜß", "\ud800", "QUJD\x00"),
        *(f"{TEXT}data:;base64,{TEXT}", f"data:;base64,data:;base64,{TEXT}"),
        *("data:image/png,QUJD", "data:image/png;base64", "data:text/plain;charset=utf-8,abc"),
        *(None, 0, True, 2.5, [], ["QUJD"], {"b64": "QUJD"}, b"QUJD"),
    ],
)
def test_what_is_not_base64_text_is_refused(value: Any) -> None:
    with pytest.raises(SpecError, match="base64") as refused:
        decode_image_text(value)
    assert refused.value.field == "inputs"


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.invalid/cat.jpg", "http://127.0.0.1:1/cat", "file:///etc/hostname"),
        *("gs://bucket/cat.jpg", "s3://bucket/cat.jpg", "hf://datasets/a/b", "C:\\cat.png"),
        *("./cat.jpg", "../cat.jpg", "cat.jpg", "~/cat"),
    ],
)
def test_a_url_or_a_path_is_refused_as_not_base64(url: str) -> None:
    with pytest.raises(SpecError, match="base64"):
        parse_request({"inputs": url})


def test_a_path_of_base64_letters_is_text_and_the_file_is_never_opened(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picture").write_bytes(IMAGE)
    monkeypatch.chdir(tmp_path)
    assert parse_request({"inputs": "picture/"}).image == base64.b64decode("picture/")
    with pytest.raises(SpecError):
        parse_request({"inputs": "picture.png"})


def test_bytes_are_the_image_itself_whatever_they_hold() -> None:
    for payload in (IMAGE, TEXT.encode(), json.dumps({"inputs": TEXT}).encode()):
        assert parse_request(payload) == Request(payload, NO_PARAMETERS)


@pytest.mark.parametrize("form", JSON_FORMS)
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, NO_PARAMETERS),
        (None, NO_PARAMETERS),
        ({"top_k": 1}, Parameters(top_k=1)),
        ({"top_k": 10**9}, Parameters(top_k=10**9)),
        ({"top_k": None}, NO_PARAMETERS),
        ({"function_to_apply": None, "top_k": 3}, Parameters(None, 3)),
        ({"function_to_apply": "sigmoid"}, Parameters("sigmoid")),
        ({"function_to_apply": "softmax"}, Parameters("softmax")),
        ({"function_to_apply": "none", "top_k": 2}, Parameters("none", 2)),
    ],
)
def test_parameters_are_parsed(form: Any, parameters: Any, expected: Parameters) -> None:
    payload = {"inputs": TEXT, "parameters": parameters}
    assert parse_request(form(payload)) == Request(IMAGE, expected)


def test_absent_parameters_leave_the_choice_to_the_job() -> None:
    assert parse_request({"inputs": TEXT}).parameters is NO_PARAMETERS
    assert (NO_PARAMETERS.function_to_apply, NO_PARAMETERS.top_k) == (None, None)


@pytest.mark.parametrize(
    ("parameters", "field", "shown", "allowed"),
    [
        ({"top_k": True}, "parameters.top_k", "True", "1 or more"),
        ({"top_k": False}, "parameters.top_k", "False", "1 or more"),
        ({"top_k": 0}, "parameters.top_k", "0", "1 or more"),
        ({"top_k": -1}, "parameters.top_k", "-1", "1 or more"),
        ({"top_k": 2.0}, "parameters.top_k", "2.0", "1 or more"),
        ({"top_k": 2.5}, "parameters.top_k", "2.5", "1 or more"),
        ({"top_k": math.nan}, "parameters.top_k", "nan", "1 or more"),
        ({"top_k": "5"}, "parameters.top_k", "'5'", "1 or more"),
        ({"top_k": "all"}, "parameters.top_k", "'all'", "1 or more"),
        ({"top_k": [5]}, "parameters.top_k", "[5]", "1 or more"),
        ({"function_to_apply": "Softmax"}, "parameters.function_to_apply", "'Softmax'", "softmax"),
        ({"function_to_apply": "soft"}, "parameters.function_to_apply", "'soft'", "softmax"),
        ({"function_to_apply": ""}, "parameters.function_to_apply", "''", "sigmoid"),
        ({"function_to_apply": 1}, "parameters.function_to_apply", "1", "none"),
        ({"function_to_apply": ["none"]}, "parameters.function_to_apply", "['none']", "none"),
        ({"topk": 5}, "parameters.topk", "5", "top_k"),
        ({"top_k": 5, "": 1}, "parameters.", "1", "top_k"),
        ([], "parameters", "[]", "an object"),
        ("softmax", "parameters", "'softmax'", "an object"),
        (False, "parameters", "False", "an object"),
        (5, "parameters", "5", "an object"),
    ],
)
@pytest.mark.parametrize("form", JSON_FORMS)
def test_a_bad_parameter_is_refused_by_field_value_and_what_is_allowed(
    form: Any, parameters: Any, field: str, shown: str, allowed: str
) -> None:
    with pytest.raises(SpecError) as refused:
        parse_request(form({"inputs": TEXT, "parameters": parameters}))
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field} is {shown}; ")
    assert allowed in str(refused.value).partition("; ")[2]
    assert str(refused.value).endswith(f"; allowed: {refused.value.allowed}")
    with pytest.raises(SpecError):
        parse_parameters(parameters)


@pytest.mark.parametrize("value", [0, True, 1.0, "1"])
def test_parameters_made_in_python_are_checked_too(value: Any) -> None:
    with pytest.raises(SpecError, match=r"parameters\.top_k"):
        Parameters(top_k=value)
    with pytest.raises(SpecError, match=r"parameters\.function_to_apply"):
        Parameters(function_to_apply=value)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "inputs"),
        ({"parameters": {}}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"inputs": TEXT, "options": {}}, "request.options"),
        ({"inputs": TEXT, "Parameters": {}}, "request.Parameters"),
        ({"inputs": TEXT, "id": "1"}, "request.id"),
        ("", "request"),
        ("{", "request"),
        (TEXT, "request"),
        ("null", "request"),
        ("[]", "request"),
        ('"QUJD"', "request"),
        ("[" * 100_000, "request"),
        ('{"inputs": ' * 100_000, "request"),
        ('{"inputs": 1' + "0" * 5_000 + "}", "request"),
        (f"\ufeff{json.dumps({'inputs': TEXT})}", "request"),
        (None, "request"),
        (5, "request"),
        ([TEXT], "request"),
    ],
)
def test_a_request_of_another_form_is_refused(payload: Any, field: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_request(payload)
    assert refused.value.field == field


@pytest.mark.parametrize("depth", [10, 500, 900, *range(930, 1000, 2), 1_100])
def test_nested_brackets_are_refused_at_every_depth(depth: int) -> None:
    with pytest.raises(SpecError):
        parse_request('{"inputs": ' + "[" * depth + "]" * depth + "}")


def test_a_nested_value_is_refused_however_deep_it_is() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(SpecError, match=r"inputs is \[\[\[.*; "):
        parse_request({"inputs": nested})


def test_half_a_megabyte_that_looks_like_a_data_uri_is_refused_at_once() -> None:
    # The cost of the earlier pattern grew with the square: 18 s for 32 kB, and here an hour.
    for text in ("data:" + "a" * 500_000, "data:" * 100_000, "data:" + ";a=" * 160_000):
        with pytest.raises(SpecError):
            decode_image_text(text)


def test_the_functions_are_those_of_the_task() -> None:
    assert FUNCTIONS == ("sigmoid", "softmax", "none")
