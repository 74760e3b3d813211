"""The handler, alone and inside Beam's RunInference."""

import logging
import pathlib
import pickle
import re
from typing import Any

import apache_beam as beam
import jsonschema
import numpy as np
import pytest
from apache_beam.ml.inference.base import KeyedModelHandler, PredictionResult, RunInference
from apache_beam.testing.util import assert_that
from PIL import Image

from imgcls_beam import ConfigError, Failure, ImageClassificationModelHandler, ImageRef
from imgcls_beam.elements import EncodedImage, ImageFacts, PixelArray
from imgcls_beam.errors import ModelError
from imgcls_beam.handler import BATCH_SIZE_OF
from imgcls_beam.model_options import ModelOptions
from schemas import load_schema
from tests.models import LABELS, make_model
from tests.runners import make_pipeline
from tests.scenes import draw_photo, encode


def handle(folder: pathlib.Path, batch: list[Any], **options: Any) -> list[Any]:
    handler = ImageClassificationModelHandler(str(folder), **options)
    results = handler.run_inference(batch, handler.load_model())
    assert [result.example for result in results] == batch
    return [result.inference for result in results]


def test_bytes_pictures_and_refs_of_one_image_get_one_answer(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    photo = draw_photo(1)
    path = tmp_path / "photo.png"
    path.write_bytes(encode(photo, "PNG"))
    data = path.read_bytes()
    ref = ImageRef(str(path))
    answers = handle(vit_folder, [data, photo, ref, EncodedImage(ref, data)])
    for answer in answers:
        jsonschema.validate(answer, load_schema("response"))
        assert _is_close(answer, answers[0])
    assert len(answers[0]) == 5


def _is_close(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    same_labels = [each["label"] for each in one] == [each["label"] for each in other]
    scores = zip(one, other, strict=True)
    return same_labels and all(abs(a["score"] - b["score"]) < 1e-6 for a, b in scores)


def test_a_bad_image_is_a_failure_in_its_place(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    good = encode(draw_photo(2))
    batch = [good, b"<html>", good, b"", ImageRef(str(tmp_path / "gone.jpg")), good]
    answers = handle(vit_folder, batch)
    codes = [each.code if isinstance(each, Failure) else "ok" for each in answers]
    assert codes == ["ok", "not_an_image", "ok", "empty", "not_found", "ok"]


def test_text_is_never_opened(vit_folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encode(draw_photo(1), "PNG"))
    with pytest.raises(TypeError, match="never a path or URL"):
        handle(vit_folder, [str(path)])


@pytest.mark.parametrize(
    ("options", "args", "expected"),
    [
        ({}, None, 5),
        ({"top_k": 3}, None, 3),
        ({"top_k": None}, None, LABELS),
        ({"top_k": 99}, None, LABELS),
        ({"top_k": 3}, {"top_k": 1}, 1),
        ({"top_k": 3}, {"top_k": None}, LABELS),
        ({"top_k": 3}, {"function_to_apply": "none"}, 3),
    ],
)
def test_inference_args_stand_over_the_handlers_own(
    vit_folder: pathlib.Path, options: dict[str, Any], args: dict[str, Any] | None, expected: int
) -> None:
    handler = ImageClassificationModelHandler(str(vit_folder), **options)
    results = handler.run_inference([draw_photo(3)], handler.load_model(), args)
    assert len(results[0].inference) == expected


@pytest.mark.parametrize(
    "args", [{"top_k": 0}, {"top_k": True}, {"function_to_apply": "relu"}, {"temperature": 1}]
)
def test_inference_args_are_refused_while_the_graph_is_built(
    vit_folder: pathlib.Path, args: dict[str, Any]
) -> None:
    handler = ImageClassificationModelHandler(str(vit_folder))
    with pytest.raises(ConfigError, match=next(iter(args))):
        RunInference(handler, inference_args=args).expand(make_pipeline() | beam.Create([b""]))


@pytest.mark.parametrize(
    ("option", "value"),
    [("top_k", 0), ("function_to_apply", "Softmax"), ("device", "tpu"), ("batch_size", -1)],
)
def test_a_bad_option_is_refused_at_once(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=option):
        ImageClassificationModelHandler(**{option: value})


def test_the_size_of_a_batch_is_what_it_holds() -> None:
    handler = ImageClassificationModelHandler()
    pixels = PixelArray(
        ImageRef("a"), {"pixel_values": np.zeros((8, 8, 3), np.uint8)}, ImageFacts(1, ""), 0.0
    )
    sizes = [
        (b"12345", 5),
        (Image.new("RGB", (10, 4)), 120),
        (EncodedImage(ImageRef("a"), b"123"), 3),
        (ImageRef("a", size_bytes=70), 70),
        (ImageRef("a"), 0),
        (pixels, 192),
    ]
    for example, size_bytes in sizes:
        assert handler.get_num_bytes([example]) == size_bytes  # type: ignore[list-item]
    assert handler.get_num_bytes([example for example, _ in sizes]) == 390  # type: ignore[misc]


@pytest.mark.parametrize(("given", "expected"), [(None, BATCH_SIZE_OF["auto"]), (7, 7)])
def test_batches_have_one_fixed_size(given: int | None, expected: int) -> None:
    kwargs = ImageClassificationModelHandler(batch_size=given).batch_elements_kwargs()
    assert (kwargs["min_batch_size"], kwargs["max_batch_size"]) == (expected, expected)


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"max_batch_size": 8}, (8, 8)),
        ({"min_batch_size": 3}, (3, 3)),
        ({"min_batch_size": 2, "max_batch_size": 8}, (2, 8)),
        ({"batch_size": 4, "max_batch_size": 4}, (4, 4)),
        ({"batch_size": None, "max_batch_size": None}, (BATCH_SIZE_OF["auto"],) * 2),
    ],
)
def test_the_batch_sizes_of_beam_are_taken_as_well(
    keywords: dict[str, Any], expected: tuple[int, int]
) -> None:
    kwargs = ImageClassificationModelHandler(**keywords).batch_elements_kwargs()
    assert (kwargs["min_batch_size"], kwargs["max_batch_size"]) == expected


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ({"topk": 1}, "topk=1: there is no such option; did you mean top_k?"),
        ({"batchsize": 1}, "did you mean batch_size?"),
        ({"kwargs": {"env_vars": {}}}, "there is no such option"),
        ({"large_model": True}, "there is no such option"),
        ({"zzz": 1}, "there is no such option; there are model, revision, top_k, "),
        ({"batch_size": 4, "max_batch_size": 8}, "max_batch_size=8: batch_size=4 says"),
        ({"max_batch_size": 0}, "max_batch_size=0: allowed: an integer of 1 or more"),
        ({"top_k": "all"}, "allowed: an integer of 1 or more, or None for every label"),
    ],
)
def test_a_keyword_that_nobody_knows_or_may_have_is_refused(
    keywords: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        ImageClassificationModelHandler("owner/model", **keywords)


def test_options_and_keywords_are_one_thing() -> None:
    options = ModelOptions("owner/model", top_k=3, batch_size=8)
    whole = ImageClassificationModelHandler(options, top_k=2)
    apart = ImageClassificationModelHandler("owner/model", top_k=2, batch_size=8)
    assert vars(whole) == vars(apart)


def test_a_handler_is_small_where_it_travels() -> None:
    handler = ImageClassificationModelHandler("google/vit-base-patch16-224", top_k=3)
    assert len(pickle.dumps(handler)) < 2_000


def test_a_model_that_would_predict_at_random_does_not_load(tmp_path: pathlib.Path) -> None:
    folder = make_model(tmp_path / "headless")
    import safetensors.torch

    weights = safetensors.torch.load_file(folder / "model.safetensors")
    kept = {name: each for name, each in weights.items() if not name.startswith("classifier")}
    safetensors.torch.save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="random"):
        ImageClassificationModelHandler(str(folder)).load_model()


def test_it_runs_inside_run_inference_and_names_its_model(vit_folder: pathlib.Path) -> None:
    images = [encode(draw_photo(seed)) for seed in range(5)]

    def check(results: list[PredictionResult]) -> None:
        assert len(results) == 5
        assert {result.example for result in results} == set(images)
        for result in results:
            assert [type(each["score"]) for each in result.inference] == [float] * 2
            assert result.model_id is not None
            assert result.model_id.startswith(f"{vit_folder}@")

    with make_pipeline() as pipeline:
        handler = ImageClassificationModelHandler(str(vit_folder), top_k=2)
        assert_that(pipeline | beam.Create(images) | RunInference(handler), check)


def test_it_composes_with_keys_and_functions_before_and_after(vit_folder: pathlib.Path) -> None:
    handler = (
        KeyedModelHandler(ImageClassificationModelHandler(str(vit_folder), top_k=1))
        .with_preprocess_fn(_to_keyed_bytes)
        .with_postprocess_fn(_to_best_label)
    )

    def check(results: list[tuple[str, str]]) -> None:
        assert sorted(key for key, _ in results) == ["3", "4"]
        assert all(label.startswith("LABEL_") for _, label in results)

    with make_pipeline() as pipeline:
        assert_that(pipeline | beam.Create([3, 4]) | RunInference(handler), check)


def _to_keyed_bytes(seed: int) -> tuple[str, bytes]:
    return str(seed), encode(draw_photo(seed))


def _to_best_label(result: tuple[str, PredictionResult]) -> tuple[str, str]:
    return result[0], result[1].inference[0]["label"]


def test_exception_handling_has_nothing_to_do_for_a_bad_image(
    vit_folder: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = [encode(draw_photo(1)), b"not an image", encode(draw_photo(2))]

    def check(results: list[PredictionResult]) -> None:
        assert sorted(isinstance(result.inference, Failure) for result in results) == [
            *(False, False, True)
        ]

    with caplog.at_level(logging.ERROR), make_pipeline() as pipeline:
        handler = ImageClassificationModelHandler(str(vit_folder))
        good, bad = pipeline | beam.Create(images) | RunInference(handler).with_exception_handling()
        assert_that(good, check, "Good")
        assert_that(bad.failed_inferences, _check_empty, "Bad")


def _check_empty(elements: list[Any]) -> None:
    assert elements == []


def test_a_model_path_of_a_side_input_replaces_the_model(
    model_folders: dict[str, pathlib.Path],
) -> None:
    handler = ImageClassificationModelHandler(str(model_folders["vit"]))
    handler.load_model()
    handler.update_model_path(str(model_folders["convnext"]))
    result = handler.run_inference([draw_photo(1)], handler.load_model())[0]
    assert str(result.model_id).startswith(str(model_folders["convnext"]))
