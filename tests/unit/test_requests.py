"""A line of a request file becomes an image or a failure; `test_request_files.py` finds lines."""

import base64
import dataclasses
import itertools
import json
import pathlib
from typing import Any

import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef, RequestLine
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.reading.request_images import MAX_ID_CHARS, limit_line_bytes, open_request
from imgcls_beam.rows import to_record_batch
from imgcls_beam.spec import NO_PARAMETERS, Parameters
from tests.staged import SCORING

IMAGE = b"\xfb\xef\xff\xfe\x00 not an image, and not looked at here"
TEXT = base64.b64encode(IMAGE).decode()


def open_line(line: bytes | str | dict[str, Any]) -> EncodedImage | Failure:
    data = json.dumps(line) if isinstance(line, dict) else line
    data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    line_of = RequestLine(5, 5 + len(data))
    ref = ImageRef("file:///r.jsonl::3", size_bytes=len(data), locator=line_of)
    return open_request(EncodedImage(ref, data, tries=2))


def open_good(line: bytes | str | dict[str, Any]) -> EncodedImage:
    opened = open_line(line)
    assert isinstance(opened, EncodedImage)
    return opened


def open_bad(line: bytes | str | dict[str, Any]) -> Failure:
    opened = open_line(line)
    assert isinstance(opened, Failure)
    assert (opened.code, opened.stage) == (FailureCode.INVALID_REQUEST, Stage.READ)
    return opened


@pytest.mark.parametrize(
    ("line", "request_id", "parameters"),
    [
        ({"inputs": TEXT}, None, NO_PARAMETERS),
        ({"inputs": TEXT, "id": None, "parameters": None}, None, NO_PARAMETERS),
        ({"id": "a", "inputs": f"data:image/png;base64,{TEXT}"}, "a", NO_PARAMETERS),
        ({"id": 7, "inputs": TEXT.rstrip("=")}, 7, NO_PARAMETERS),
        ({"id": "7", "inputs": f" {TEXT}\n"}, "7", NO_PARAMETERS),
        ({"id": 0, "inputs": TEXT}, 0, NO_PARAMETERS),
        ({"id": "", "inputs": TEXT}, "", NO_PARAMETERS),
        ({"id": "Ä,\n\u2028😀", "inputs": TEXT}, "Ä,\n\u2028😀", NO_PARAMETERS),
        ({"id": -(10**1000), "inputs": TEXT}, -(10**1000), NO_PARAMETERS),
        ({"id": "," * MAX_ID_CHARS, "inputs": TEXT}, "," * MAX_ID_CHARS, NO_PARAMETERS),
        ({"inputs": TEXT, "parameters": {"top_k": 3}}, None, Parameters(top_k=3)),
        (
            {"inputs": TEXT, "parameters": {"function_to_apply": "none", "top_k": 2}, "id": 1},
            *(1, Parameters("none", 2)),
        ),
        (f' \t{{"inputs" : "{TEXT}"}} \r', None, NO_PARAMETERS),
        (json.dumps({"inputs": TEXT}).replace("/", "\\/"), None, NO_PARAMETERS),
    ],
)
def test_a_request_gives_its_image_its_id_and_its_parameters(
    line: Any, request_id: str | int | None, parameters: Parameters
) -> None:
    opened = open_good(line)
    assert (opened.data, opened.tries) == (IMAGE, 2)
    assert (opened.ref.request_id, opened.ref.parameters) == (request_id, parameters)
    assert type(opened.ref.request_id) is type(request_id)
    assert (opened.ref.uri, opened.ref.size_bytes) == ("file:///r.jsonl::3", len(IMAGE))


@pytest.mark.parametrize(
    "inputs",
    [
        *("http://127.0.0.1:1/cat.jpg", "https://example.invalid/cat.jpg", "file:///etc/hostname"),
        *("gs://bucket/cat.jpg", "./cat.jpg", "/etc/hostname.", "C:\\cat.png", "cat.jpg", "~"),
        *("data:image/png,QUJD", "not base64", "QUJ!", "Q", "", " ", "====", "\ud800", "ÄÖ"),
        *(None, 5, True, ["QUJD"], {"b64": "QUJD"}),
    ],
)
def test_what_the_reference_would_fetch_or_open_is_refused_as_any_text_that_is_no_image(
    inputs: Any,
) -> None:
    failure = open_bad({"id": 9, "inputs": inputs, "parameters": {"top_k": 2}})
    assert failure.message == (
        "inputs is not an image as base64 text; URLs and paths are never fetched or opened"
    )
    assert (failure.ref.request_id, failure.ref.parameters) == (9, Parameters(top_k=2))
    assert (failure.ref.size_bytes, failure.tries) == (None, 2)


def test_a_path_of_base64_letters_is_text_and_the_file_is_never_opened(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picture").write_bytes(IMAGE)
    monkeypatch.chdir(tmp_path)
    assert open_good({"inputs": "picture/"}).data == base64.b64decode("picture/")


NOT_JSON = "the line is not JSON in UTF-8"
NOT_AN_OBJECT = "the line is not an object of inputs, parameters, id"
TWICE = "the line has an object in which a field stands twice"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        *((line, NOT_JSON) for line in ("", "{", TEXT, "{'inputs': 1}", '{"inputs": NaN}')),
        *((f'{{"inputs": {n}}}', NOT_JSON) for n in ("-Infinity", "01", "1" + "0" * 5_000)),
        (b'{"inputs": "\xff"}', NOT_JSON),
        ('{"inputs": "\ud800"}', NOT_JSON),
        ('{"inputs": "a\tb"}', NOT_JSON),
        ('{"inputs": "QUJD"} {}', NOT_JSON),
        ('\ufeff{"inputs": "QUJD"}', NOT_JSON),
        ('{"inputs": "QUJD"}'.encode("utf-16"), NOT_JSON),
        ("[" * 100_000, NOT_JSON),
        ('{"inputs": ' * 100_000, NOT_JSON),
        *((line, NOT_AN_OBJECT) for line in ("null", "5", '"QUJD"', "[]", '[{"inputs": "QUJD"}]')),
        ("[" + "[]," * 200_000 + "[]]", NOT_AN_OBJECT),
        ('{"inputs": [' + "[]," * 200_000 + "[]]}", NOT_AN_OBJECT),
        ('{"inputs": "QUJD", "inputs": "QUJD"}', TWICE),
        ('{"inputs": "QUJD", "\\u0069nputs": "QUJD"}', TWICE),
        ('{"inputs": "QUJD", "parameters": {"top_k": 1, "top_k": 2}}', TWICE),
    ],
    ids=itertools.count(),
)
def test_a_line_that_is_no_json_object_is_refused(line: bytes | str, message: str) -> None:
    assert open_bad(line).message == message


@pytest.mark.parametrize("depth", [10, 500, *range(900, 1000, 10), 1_100])
def test_nested_brackets_are_refused_at_every_depth(depth: int) -> None:
    open_bad('{"inputs": ' + "[" * depth + "]" * depth + "}")


@pytest.mark.parametrize(
    ("own", "message", "kept"),
    [
        ({"id": True}, "id is refused; allowed: text of at most 1024 characters", (None, 2)),
        ({"id": 1.0}, "id is refused; allowed: text", (None, 2)),
        ({"id": ["a"]}, "id is refused; allowed: text", (None, 2)),
        ({"id": "x" * (MAX_ID_CHARS + 1)}, "id is refused; allowed: text", (None, 2)),
        ({"id": 10**MAX_ID_CHARS}, "id is refused; allowed: text", (None, 2)),
        ({"id": "\ud800"}, "id is refused; allowed: text", (None, 2)),
        ({"options": TEXT}, "request.options is refused; allowed: the fields inputs", ("a", 2)),
        ({"Inputs": TEXT}, "request.Inputs is refused; allowed: the fields inputs", ("a", 2)),
        ({"a\n\ud800": 1}, r"request.a\n\ud800 is refused; allowed: the fields", ("a", 2)),
        ({"parameters": {"top_k": 0}}, "parameters.top_k is refused; allowed: an", ("a", None)),
        ({"parameters": {"top_k": 5.0}}, "parameters.top_k is refused; allowed: an", ("a", None)),
        ({"parameters": {"topk": 5}}, "parameters.topk is refused; allowed: the", ("a", None)),
        ({"parameters": {"function_to_apply": TEXT}}, "parameters.function_to_apply", ("a", None)),
        ({"parameters": [TEXT]}, "parameters is refused; allowed: an object", ("a", None)),
        ({"parameters": {"top_k": 0}, "id": False, "inputs": "?"}, "id is", (None, None)),
    ],
    ids=itertools.count(),
)
def test_a_field_that_is_refused_leaves_what_is_good_and_no_payload_in_the_message(
    own: dict[str, Any], message: str, kept: tuple[str | None, int | None]
) -> None:
    failure = open_bad({"id": "a", "inputs": TEXT, "parameters": {"top_k": 2}, **own})
    assert failure.message.startswith(message)
    assert TEXT[:8] not in failure.message
    assert (failure.ref.request_id, failure.ref.parameters.top_k) == kept


def test_eight_million_digits_of_a_fraction_are_refused_without_being_read() -> None:
    assert open_bad('{"id": 1.' + "7" * 8_000_000 + "}").message.startswith("id is refused")


@pytest.mark.parametrize(("request_id", "expected"), [(7, "7"), ("7", "7"), ("", ""), (None, None)])
def test_an_id_stands_in_a_row_as_text(request_id: str | int | None, expected: str | None) -> None:
    failure = open_bad({"id": request_id, "inputs": "?"})
    failure = dataclasses.replace(failure, scoring=SCORING)
    assert to_record_batch([failure]).column("request_id").to_pylist() == [expected]


@pytest.mark.parametrize("max_bytes", [len(IMAGE), len(IMAGE) - 1])
def test_an_image_above_the_limit_is_a_failure_that_keeps_its_id(max_bytes: int) -> None:
    line = json.dumps({"id": 7, "inputs": TEXT}).encode()
    opened = open_request(EncodedImage(ImageRef("r.jsonl::1"), line), max_bytes)
    assert (opened.ref.request_id, opened.ref.size_bytes) == (7, len(IMAGE))
    if max_bytes == len(IMAGE):
        assert isinstance(opened, EncodedImage)
    else:
        assert isinstance(opened, Failure)
        assert opened.code is FailureCode.TOO_MANY_BYTES


@pytest.mark.parametrize("size_bytes", [1, 2, 3, 4, 100_000, 64 << 20])
def test_a_line_may_be_as_long_as_the_largest_image_makes_it(size_bytes: int) -> None:
    text_bytes = len(base64.b64encode(bytes(size_bytes)))
    assert limit_line_bytes(size_bytes) == text_bytes + (64 << 10)
