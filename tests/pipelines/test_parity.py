"""The whole job against transformers' own pipeline: the same labels and scores, in order."""

import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import pipeline

from tests.models import FAMILIES
from tests.pipelines.test_classify import classify, read_rows
from tests.scenes import write_photos

DEMO_MODEL = pathlib.Path(__file__).parents[2] / "demo" / "model"
TOLERANCE = 1e-5
FUNCTIONS = (None, "sigmoid", "softmax", "none")
TOP_KS = ("1", "3", "5", "all")
EACH_ONCE = {(None, "all"), ("sigmoid", "1"), ("softmax", "3"), ("none", "5")}


def list_asked() -> Iterator[Any]:
    """All of one family, and of the others each function and each number of labels once.

    What is left of them is long: how many labels are kept does not depend on the family.
    """
    for family, function, top_k in itertools.product((*FAMILIES, "demo"), FUNCTIONS, TOP_KS):
        is_quick = family in ("vit", "demo") and (function, top_k) == (None, "all")
        is_short = family == "vit" or (function, top_k) in EACH_ONCE
        marks = () if is_quick else pytest.mark.slow if is_short else pytest.mark.long
        yield pytest.param(family, function, top_k, marks=marks)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, 20, seed=7)
    turned = Image.open(folder / "0000.jpg")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif)
    turned.convert("CMYK").save(folder / "cmyk.jpg")
    turned.convert("L").save(folder / "grey.png")
    turned.convert("P").save(folder / "palette.png")
    turned.convert("RGBA").save(folder / "alpha.png")
    return folder


@pytest.fixture(scope="module")
def answer_of(
    photos: pathlib.Path, model_folders: dict[str, pathlib.Path]
) -> dict[tuple[str, str | None], dict[str, list[dict[str, Any]]]]:
    """The reference's full answer for each image, by family and activation."""
    answers = {}
    for family in (*FAMILIES, "demo"):
        reference = pipeline(
            "image-classification", model=str(_folder_of(family, model_folders)), device="cpu"
        )
        for function in FUNCTIONS:
            answers[family, function] = {
                f"file://{path}": reference(str(path), function_to_apply=function, top_k=10_000)
                for path in photos.iterdir()
            }
    return answers


def _folder_of(family: str, model_folders: dict[str, pathlib.Path]) -> pathlib.Path:
    return DEMO_MODEL if family == "demo" else model_folders[family]


@pytest.mark.parametrize(("family", "function", "top_k"), [*list_asked()])
def test_rows_equal_the_reference(
    tmp_path: pathlib.Path,
    photos: pathlib.Path,
    model_folders: dict[str, pathlib.Path],
    answer_of: dict[tuple[str, str | None], dict[str, list[dict[str, Any]]]],
    family: str,
    function: str | None,
    top_k: str,
) -> None:
    flags = [f"--top_k={top_k}", *([f"--function_to_apply={function}"] if function else [])]
    assert classify(photos, tmp_path / "out", _folder_of(family, model_folders), *flags) == 0
    rows = {row["image_uri"]: row["predictions"] for row in read_rows(tmp_path / "out")}
    expected = answer_of[family, function]
    assert set(rows) == set(expected)
    for uri, predictions in rows.items():
        wanted = expected[uri] if top_k == "all" else expected[uri][: int(top_k)]
        assert [each["label"] for each in predictions] == [each["label"] for each in wanted]
        for ours, theirs in zip(predictions, wanted, strict=True):
            assert abs(ours["score"] - theirs["score"]) <= TOLERANCE


def test_the_images_of_this_test_tell_models_apart(
    answer_of: dict[tuple[str, str | None], dict[str, list[dict[str, Any]]]],
) -> None:
    """A comparison of equal scores shows nothing, so the reference's answers must differ."""
    for family in FAMILIES:
        answers = answer_of[family, None].values()
        assert len({round(answer[0]["score"], 4) for answer in answers}) >= 15


def test_a_turned_image_is_not_the_same_to_the_reference(
    photos: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    """Else the orientation would be tested by an image that does not show it."""
    reference = pipeline("image-classification", model=str(vit_folder), device="cpu")
    image = Image.open(photos / "turned.jpg")
    lying = Image.fromarray(np.asarray(image))
    assert reference(image) != reference(lying)
