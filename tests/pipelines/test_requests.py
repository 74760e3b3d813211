"""Requests of different parameters in one batch, against one call of the reference each."""

import base64
import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import pytest
from transformers import pipeline

from imgcls_beam.classifying import Classifier, ClassifierCard, ForwardPass
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, ModelInputs, RequestLine
from imgcls_beam.errors import FailureCode
from imgcls_beam.handler import ImageClassificationModelHandler
from imgcls_beam.listing.request_files import list_requests
from imgcls_beam.reading.request_images import open_request
from tests.scenes import draw_photo, encode

TOLERANCE = 1e-5
ASKED: list[dict[str, Any]] = [
    {},
    {"top_k": 1},
    {"function_to_apply": "sigmoid", "top_k": 3},
    {"function_to_apply": "none", "top_k": 20},
    {"function_to_apply": "softmax", "top_k": 4},
]


@dataclasses.dataclass
class CountingClassifier:
    """A classifier that remembers how many images each of its passes had."""

    classifier: Classifier
    passes: list[int] = dataclasses.field(default_factory=list)

    def describe(self) -> ClassifierCard:
        return self.classifier.describe()

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
        self.passes.append(len(batch))
        return self.classifier.classify(batch)


def write_requests(path: pathlib.Path, requests: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(each)}\n" for each in requests))


def open_requests(path: pathlib.Path) -> list[EncodedImage | Failure]:
    """Every line of a file, read at the place where it was listed."""
    content = path.read_bytes()
    opened = []
    for ref in list_requests(str(path)):
        assert isinstance(ref, ImageRef)
        assert isinstance(ref.locator, RequestLine)
        opened.append(open_request(EncodedImage(ref, content[ref.locator.start : ref.locator.end])))
    return opened


def check_answer(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    assert [each["label"] for each in ours] == [each["label"] for each in theirs]
    for mine, wanted in zip(ours, theirs, strict=True):
        assert mine["score"] == pytest.approx(wanted["score"], abs=TOLERANCE, rel=0)


@pytest.mark.parametrize("is_same_photo", [True, False])
def test_five_parameter_sets_in_one_batch_are_one_pass_and_five_answers_of_the_reference(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, is_same_photo: bool
) -> None:
    photos = [draw_photo(0 if is_same_photo else seed) for seed in range(len(ASKED))]
    texts = [base64.b64encode(encode(photo, "PNG")).decode() for photo in photos]
    write_requests(
        tmp_path / "r.jsonl",
        [
            {"id": number, "inputs": text, "parameters": asked}
            for number, (text, asked) in enumerate(zip(texts, ASKED, strict=True))
        ],
    )
    handler = ImageClassificationModelHandler(str(vit_folder), device="cpu")
    classifier = CountingClassifier(handler.load_model())
    results = handler.run_inference(open_requests(tmp_path / "r.jsonl"), classifier)
    assert classifier.passes == [len(ASKED)]
    assert [result.example.ref.request_id for result in results] == [0, 1, 2, 3, 4]
    reference = pipeline("image-classification", model=str(vit_folder), device="cpu")
    answers = [reference(photo, **asked) for photo, asked in zip(photos, ASKED, strict=True)]
    assert [len(answer) for answer in answers] == [5, 1, 3, 11, 4]
    for result, answer in zip(results, answers, strict=True):
        check_answer(result.inference, answer)


def test_a_request_asks_over_the_job_and_what_it_leaves_open_the_job_decides(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    photo = draw_photo(3)
    text = base64.b64encode(encode(photo, "PNG")).decode()
    asked = [{}, {"top_k": 4}, {"function_to_apply": "softmax"}, {"top_k": None}]
    write_requests(tmp_path / "r.jsonl", [{"inputs": text, "parameters": each} for each in asked])
    job: dict[str, Any] = {"top_k": 2, "function_to_apply": "sigmoid"}
    handler = ImageClassificationModelHandler(str(vit_folder), device="cpu", **job)
    results = handler.run_inference(open_requests(tmp_path / "r.jsonl"), handler.load_model())
    reference = pipeline("image-classification", model=str(vit_folder), device="cpu")
    for result, each in zip(results, asked, strict=True):
        given = {name: value for name, value in each.items() if value is not None}
        check_answer(result.inference, reference(photo, **{**job, **given}))


def test_bad_requests_stand_beside_good_ones_and_do_not_split_the_pass(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    text = base64.b64encode(encode(draw_photo(1), "PNG")).decode()
    write_requests(
        tmp_path / "r.jsonl",
        [
            {"id": "good", "inputs": text, "parameters": {"top_k": 1}},
            {"id": "url", "inputs": "https://example.invalid/cat.jpg"},
            {"id": "asks", "inputs": text, "parameters": {"top_k": 0}},
            {"id": "page", "inputs": base64.b64encode(b"<html>").decode()},
            {"id": "also good", "inputs": text, "parameters": {"top_k": 2}},
        ],
    )
    handler = ImageClassificationModelHandler(str(vit_folder), device="cpu")
    classifier = CountingClassifier(handler.load_model())
    inferences = [
        result.inference
        for result in handler.run_inference(open_requests(tmp_path / "r.jsonl"), classifier)
    ]
    assert classifier.passes == [2]
    failures = {each.ref.request_id: each.code for each in inferences if isinstance(each, Failure)}
    assert failures == {
        "url": FailureCode.INVALID_REQUEST,
        "asks": FailureCode.INVALID_REQUEST,
        "page": FailureCode.NOT_AN_IMAGE,
    }
    assert [len(inferences[0]), len(inferences[4])] == [1, 2]
