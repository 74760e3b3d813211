"""A fast way to run a model is taken where it is as near the truth as the plain one, only."""

import pathlib
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from imgcls_beam.classifying import ClassifierSpec, prepacking
from imgcls_beam.classifying.huggingface import HuggingFaceClassifier
from imgcls_beam.classifying.judging import answer_exactly
from imgcls_beam.models import resolve_model
from imgcls_beam.preparing import draw_probes, load_preparer
from tests.families.making import make_family
from tests.families.table import FAMILIES

SHEETS = {
    **{"black": (0, 0, 0), "blue": (40, 90, 150), "grey": (60, 60, 60), "paper": (236, 231, 219)},
    **{"red": (200, 30, 30), "white": (255, 255, 255)},
}


def make(model_class: str, folder: pathlib.Path) -> pathlib.Path:
    (family,) = [each for each in FAMILIES if each.model_class == model_class]
    return make_family(folder, family)


def load(folder: pathlib.Path) -> HuggingFaceClassifier:
    source = resolve_model(str(folder), None)
    preparer = load_preparer(source)
    spec = ClassifierSpec(source, preparer.affine, "cpu", "float32", "torch")
    return HuggingFaceClassifier(spec, lambda size_px: draw_probes(preparer, size_px))


def draw(folder: pathlib.Path) -> list[Any]:
    preparer = load_preparer(resolve_model(str(folder), None))
    return [preparer.prepare(Image.new("RGB", (70, 60), colour)) for colour in SHEETS.values()]


def test_bit_on_plain_sheets_is_as_near_the_truth_as_the_library(tmp_path: pathlib.Path) -> None:
    folder = make("BitForImageClassification", tmp_path / "model")
    classifier = load(folder)
    assert not classifier._runner.feed.is_channels_last
    batch = draw(folder)
    found = classifier.classify(batch).logits
    with torch.no_grad():
        stacked = classifier._runner.feed.stack(batch)
        exact = answer_exactly(classifier._runner.model, classifier._runner.feed, stacked).numpy()
        classifier._runner.feed.is_channels_last = True
    other = classifier.classify(batch).logits
    assert np.abs(other - exact).max() > 5 * np.abs(found - exact).max()


@pytest.mark.parametrize(
    "model_class",
    [
        "ResNetForImageClassification",
        *(
            pytest.param(f"{each}ForImageClassification", marks=pytest.mark.slow)
            for each in ("ConvNext", "MobileNetV2", "EfficientNet", "RegNet")
        ),
    ],
)
def test_models_of_batch_and_layer_norms_keep_their_pixels_in_place(
    model_class: str, tmp_path: pathlib.Path
) -> None:
    assert load(make(model_class, tmp_path / "model"))._runner.feed.is_channels_last


def test_a_layout_that_says_something_else_of_a_dark_picture_alone_is_not_taken(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make("ResNetForImageClassification", tmp_path / "model")
    forward = torch.nn.Conv2d.forward

    def forget_the_dark(layer: Any, pixels: torch.Tensor) -> torch.Tensor:
        found = forward(layer, pixels)
        is_dark = pixels.amax(dim=(1, 2, 3), keepdim=True) < -0.9
        is_odd = pixels.shape[1] == 3 and not pixels.is_contiguous()
        return torch.where(is_dark, found * 1.01, found) if is_odd else found

    monkeypatch.setattr(torch.nn.Conv2d, "forward", forget_the_dark)
    assert not load(folder)._runner.feed.is_channels_last


def test_weights_are_the_same_after_they_were_float64(tmp_path: pathlib.Path) -> None:
    folder = make("ResNetForImageClassification", tmp_path / "model")
    classifier = load(folder)
    before = {name: each.clone() for name, each in classifier._runner.model.state_dict().items()}
    with torch.no_grad():
        stacked = classifier._runner.feed.stack(draw(folder))
        exact = answer_exactly(classifier._runner.model, classifier._runner.feed, stacked)
    assert exact.dtype == torch.float64
    after = classifier._runner.model.state_dict()
    assert all(torch.equal(after[name], each) for name, each in before.items())
    assert all(after[name].dtype == each.dtype for name, each in before.items())


def test_packing_that_is_off_by_a_thousandth_on_a_dark_picture_is_not_taken(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepacking, "_WORTH_WEIGHTS", 1)
    forward = prepacking.PackedLinear.forward

    def dim(layer: Any, vectors: torch.Tensor) -> torch.Tensor:
        found = forward(layer, vectors)
        return torch.where(found.abs().amax() > 1e9, found, found * 1.001)

    monkeypatch.setattr(prepacking.PackedLinear, "forward", dim)
    classifier = load(vit_folder)
    packed = [
        each for each in classifier._runner.model.modules() if type(each).__name__ == "PackedLinear"
    ]
    assert packed == []


def test_a_gap_that_no_probe_sees_keeps_no_value_that_is_not_finite(tmp_path: pathlib.Path) -> None:
    folder = make("Dinov2ForImageClassification", tmp_path / "model")
    path = folder / "model.safetensors"
    weights = load_file(path)
    kept = {name: each for name, each in weights.items() if "mask_token" not in name}
    save_file(kept, path, {"format": "pt"})
    for weight in load(folder)._runner.model.state_dict().values():
        assert bool(torch.isfinite(weight).all())
