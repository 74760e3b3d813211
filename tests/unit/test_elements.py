import dataclasses
import datetime
import pickle
from typing import Any

import numpy as np
import pytest

from imgcls_beam import elements, scoring
from imgcls_beam.elements import (
    ByteSpan,
    EncodedImage,
    Failure,
    ImageFacts,
    ImageRef,
    PixelArray,
    Prediction,
    RequestLine,
    Skipped,
    TableCell,
)
from imgcls_beam.errors import STAGE_OF, FailureCode, ImageError
from imgcls_beam.scoring import (
    AppliedParameters,
    ChannelAffine,
    EngineChoice,
    Execution,
    ModelSource,
    SandboxState,
    Scoring,
)
from imgcls_beam.spec import NO_PARAMETERS, LabelScore, Parameters

NOON = datetime.datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=datetime.UTC)
REF = ImageRef("gs://bucket/cat.jpg", "17", 1234, NOON, {"a": 1}, "id-1", Parameters("none", 3))
FACTS = ImageFacts(1234, "ab" * 32, 640, 480, "JPEG")
EXECUTION = Execution("cuda:0", "bfloat16", 32, 1.5, NOON)
APPLIED = AppliedParameters(5, "softmax", "model")
LABELS = (LabelScore("cat", 0.75), LabelScore("dog", 0.25))

MODEL = ModelSource("google/vit", "0123456789abcdef" * 2 + "01234567", "google/vit", "main")
SCORING = Scoring(MODEL, 5, "softmax")

EXAMPLES: list[Any] = [
    MODEL,
    SCORING,
    ChannelAffine((0.1, 0.2, 0.3), (-1.0, -2.0, -3.0)),
    REF,
    dataclasses.replace(REF, uri="gs://bucket/a.tar::cat.jpg", locator=ByteSpan(512, 1746)),
    ByteSpan(512, 1746),
    RequestLine(0, 99),
    TableCell(1, 17, "image"),
    FACTS,
    EncodedImage(REF, b"\xff\xd8\xff", tries=2),
    APPLIED,
    EngineChoice("openvino", "asked for"),
    EXECUTION,
    Prediction(REF, LABELS, 0.5, APPLIED, EXECUTION, SCORING, FACTS, 3.25),
    Failure(REF, STAGE_OF[FailureCode.CORRUPT], FailureCode.CORRUPT, "no end", 2, True, FACTS),
    Skipped(REF, SCORING, NOON),
    SandboxState("child", ("limits",)),
]
PIXELS = PixelArray(
    REF, {"pixel_values": np.arange(24, dtype=np.uint8).reshape(2, 4, 3)}, FACTS, 3.25
)


def name_of(example: object) -> str:
    return type(example).__name__


def test_every_element_has_an_example_here() -> None:
    defined = {
        each
        for module in (elements, scoring)
        for each in vars(module).values()
        if isinstance(each, type) and each.__module__ == module.__name__
    }
    assert {type(each) for each in (*EXAMPLES, PIXELS)} == defined


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_elements_travel_and_come_back_equal(example: Any) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(example, protocol))
        assert twin == example
        assert hash(twin) == hash(example)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixels_travel_and_come_back_as_they_were(dtype: Any) -> None:
    pixels = PIXELS.inputs["pixel_values"].astype(dtype)
    sent = dataclasses.replace(PIXELS, inputs={"pixel_values": pixels})
    got = pickle.loads(pickle.dumps(sent))
    np.testing.assert_array_equal(got.inputs["pixel_values"], pixels, strict=True)
    assert (got.ref, got.facts, got.prepare_ms) == (sent.ref, sent.facts, sent.prepare_ms)


@pytest.mark.parametrize("example", [*EXAMPLES, PIXELS], ids=name_of)
def test_elements_are_frozen_and_hold_nothing_beside_their_fields(example: Any) -> None:
    for field in dataclasses.fields(example):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(example, field.name, None)
    assert not hasattr(example, "__dict__")


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_elements_that_differ_in_one_field_are_not_equal(example: Any) -> None:
    for field in dataclasses.fields(example):
        if not field.compare:  # a signature is no part of what is meant
            continue
        another = {"another": 1} if field.name == "attributes" else "another"
        assert dataclasses.replace(example, **{field.name: another}) != example


@pytest.mark.parametrize("protocol", [pickle.DEFAULT_PROTOCOL, pickle.HIGHEST_PROTOCOL])
def test_a_ref_is_small_where_it_crosses_a_shuffle(protocol: int) -> None:
    uri = "gs://bucket/" + "x" * 88
    assert len(uri) == 100
    listed = ImageRef(uri, version="1764000000123456", size_bytes=123_456, updated_at=NOON)
    assert len(pickle.dumps(ImageRef(uri), protocol)) < 400
    assert len(pickle.dumps(listed, protocol)) < 400


def test_further_refs_of_a_bundle_cost_little_more_than_their_texts() -> None:
    refs = [ImageRef(f"gs://bucket/{i:088d}", f"{i:016d}", i, NOON) for i in range(100)]
    assert len(pickle.dumps(refs)) < 100 * 200


def test_a_ref_that_is_only_a_uri_leaves_everything_else_open() -> None:
    ref = ImageRef("a.jpg")
    assert [getattr(ref, field.name) for field in dataclasses.fields(ref)] == [
        *("a.jpg", None, None, None, None, None, NO_PARAMETERS, None, None, 0, None)
    ]


@pytest.mark.parametrize(
    ("revision", "key"),
    [
        ("0123456789abcdef", "a/b@0123456789ab"),
        ("0123456789ab", "a/b@0123456789ab"),
        ("0123456789" * 4, "a/b@012345678901"),
        ("0123456789abcdef" * 4, "folder@0123456789ab"),
    ],
)
def test_the_key_of_a_model_is_its_id_or_the_word_folder_and_twelve_digits(
    revision: str, key: str
) -> None:
    source = ModelSource("a/b", revision, "/cache/a-b")
    assert source.key == key
    assert source.display_name == f"a/b@{revision[:12]}"


@pytest.mark.parametrize("code", FailureCode)
@pytest.mark.parametrize("retryable", [True, False])
def test_an_image_error_becomes_the_failure_of_its_image(
    code: FailureCode, retryable: bool
) -> None:
    error = ImageError(code, "a stable sentence", retryable=retryable)
    failure = Failure.from_error(REF, error, tries=3, facts=FACTS)
    assert failure == Failure(
        REF, STAGE_OF[code], code, "a stable sentence", 3, retryable, FACTS, failure.failed_at
    )


def test_a_failure_of_which_nothing_more_is_known_was_tried_once() -> None:
    failure = Failure.from_error(REF, ImageError(FailureCode.EMPTY, "no bytes"))
    assert (failure.tries, failure.retryable, failure.facts) == (1, False, None)
    assert failure.failed_at.tzinfo is datetime.UTC
