"""What travels with an image fits into its row, or costs that image alone."""

import datetime
import decimal
import pathlib
from typing import Any

import pytest

from imgcls_beam.attributes import (
    MAX_ATTRIBUTES_BYTES,
    encode_attributes,
    find_attributes_problem,
)
from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode, ImageError, Stage
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import read_images

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
ROOM = MAX_ATTRIBUTES_BYTES - len('{"a":""}')


def nest(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"sku": 7, "ok": True, "no": None}, '{"sku":7,"ok":true,"no":null}'),
        ({"at": NOON, "on": NOON.date()}, '{"at":"2026-11-23T12:00:00+00:00","on":"2026-11-23"}'),
        ({"price": decimal.Decimal("1.50"), "data": b"abc"}, '{"price":"1.50","data":"YWJj"}'),
        ({"nan": [float("nan"), {"x": float("inf")}]}, '{"nan":[null,{"x":null}]}'),
        ({"big": 2**80, "é": "é"}, '{"big":1208925819614629174706176,"é":"é"}'),
        ({}, "{}"),
    ],
)
def test_attributes_become_a_json_object(given: dict[str, Any], expected: str) -> None:
    assert encode_attributes(given) == expected


@pytest.mark.parametrize("given", ['{"a":1}', ["a"], 7, {1: "a"}, {None: 1}])
def test_attributes_are_a_mapping_from_text(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"attributes=.*: give a mapping whose names are texts"):
        ImageRef("a.jpg", attributes=given)


@pytest.mark.parametrize("given", [None, b"a.jpg", pathlib.Path("a.jpg"), 7])
def test_a_uri_is_text(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"uri=.*: give a text"):
        ImageRef(given)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"a": "x" * ROOM}, None),
        ({"a": "x" * (ROOM + 1)}, "larger than 1048576 bytes"),
        ({"a": "é" * (ROOM // 2)}, None),
        ({"a": "é" * (ROOM // 2 + 1)}, "larger"),
        ({"a": "\udce9" * (ROOM + 1)}, "larger"),
        (nest(100_000), "nested too deeply"),
        (None, None),
    ],
    ids=["full", "one more", "full of é", "one more é", "surrogates", "deep", "none"],
)
def test_attributes_have_a_limit(given: dict[str, Any] | None, problem: str | None) -> None:
    found = find_attributes_problem(given)
    assert found is None if problem is None else problem in str(found)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda ref: ref,
        lambda ref: EncodedImage(ref, b"data"),
        lambda ref: Failure.from_error(ref, ImageError(FailureCode.NOT_FOUND, "gone")),
    ],
    ids=["a ref", "an image", "a failure"],
)
def test_attributes_that_are_too_large_cost_their_image_alone(
    tmp_path: pathlib.Path, wrap: Any
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"data")
    wide = ImageRef(path.as_uri(), attributes={"a": "x" * MAX_ATTRIBUTES_BYTES})
    good = ImageRef(path.as_uri(), attributes={"a": 1})
    failure, image = read_images([wrap(wide), good], ReadOptions())
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.code) == (Stage.LIST, FailureCode.INVALID_REFERENCE)
    assert (failure.ref.uri, failure.ref.attributes) == (path.as_uri(), None)
    assert isinstance(image, EncodedImage)
    assert image.ref.attributes == {"a": 1}
