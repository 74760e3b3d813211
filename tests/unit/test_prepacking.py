"""Linear layers in oneDNN's layout give the same answers, or are not used."""

import pathlib
import shutil
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from imgcls_beam.classifying import ClassifierSpec, prepacking
from imgcls_beam.classifying.huggingface import HuggingFaceClassifier
from imgcls_beam.classifying.prepacking import PackedLinear, can_prepack
from imgcls_beam.elements import ModelInputs
from imgcls_beam.models import resolve_model
from tests.models import FAMILIES
from tests.probes import probe_ready

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models of these tests are small: their layers count all the same."""
    monkeypatch.setattr(prepacking, "_WORTH_WEIGHTS", 1)


def load(folder: pathlib.Path, size_px: int = 32, **changes: Any) -> HuggingFaceClassifier:
    spec = ClassifierSpec(
        **{"source": resolve_model(str(folder), None), "affine": None, "engine": "torch", **changes}
    )
    return HuggingFaceClassifier(spec, probe_ready(size_px))


def draw(count: int, size_px: int) -> list[ModelInputs]:
    rng = np.random.default_rng(1)
    pixels = rng.normal(size=(count, 3, size_px, size_px)).astype(np.float32)
    return [{"pixel_values": each} for each in pixels]


def count_packed(classifier: HuggingFaceClassifier) -> int:
    return sum(isinstance(each, PackedLinear) for each in classifier._runner.model.modules())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("count", [1, 5, 40])
def test_a_packed_model_gives_the_logits_of_the_library(
    family: str, count: int, model_folders: dict[str, pathlib.Path]
) -> None:
    folder = model_folders[family]
    size_px = 64 if family in ("convnext", "resnet") else 32
    batch = draw(count, size_px)
    classifier = load(folder, size_px)
    found = classifier.classify(batch).logits
    model = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    pixels = np.stack([each["pixel_values"] for each in batch])
    with torch.inference_mode():
        expected = model(pixel_values=torch.from_numpy(pixels)).logits.numpy()
    assert count_packed(classifier) > 0
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))


def test_a_packed_model_lets_go_of_its_checkpoint(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Weights are loaded as parts of the mapped file: one that is kept keeps all of it."""
    maps = pathlib.Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not say what is mapped")
    folder = shutil.copytree(vit_folder, tmp_path / "model")
    weights = str(folder / "model.safetensors")
    classifier = load(folder)
    assert count_packed(classifier) > 0
    assert weights not in maps.read_text()


@pytest.mark.parametrize(
    ("shape", "bias"), [((3, 7), True), ((2, 3, 7), False), ((1, 1, 1, 7), True), ((0, 7), True)]
)
def test_a_packed_layer_takes_vectors_of_any_shape(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(7, 5, bias=bias)
    vectors = torch.randn(shape)
    with torch.inference_mode():
        packed = PackedLinear(linear, 100)(vectors)
        assert packed.shape == (*shape[:-1], 5)
        torch.testing.assert_close(packed, linear(vectors))


def test_a_model_that_reads_its_weights_by_itself_is_left_as_it_was(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = transformers.ViTForImageClassification.forward

    def read_weight(model: Any, *arguments: Any, **more: Any) -> Any:
        assert model.classifier.weight.dtype == torch.float32
        return forward(model, *arguments, **more)

    monkeypatch.setattr(transformers.ViTForImageClassification, "forward", read_weight)
    classifier = load(vit_folder, affine=None, dtype="float32")
    assert np.isfinite(classifier.classify(draw(2, 32)).logits).all()
    assert count_packed(classifier) == 0


def test_a_model_that_would_answer_otherwise_is_left_as_it_was(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = load(vit_folder).classify(draw(3, 32)).logits
    forward = PackedLinear.forward
    monkeypatch.setattr(PackedLinear, "forward", lambda layer, x: forward(layer, x) * 1.001)
    classifier = load(vit_folder)
    np.testing.assert_allclose(classifier.classify(draw(3, 32)).logits, right, atol=1e-5)
    assert count_packed(classifier) == 0


def test_small_layers_are_left_alone(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = transformers.AutoModelForImageClassification.from_pretrained(vit_folder)
    monkeypatch.undo()
    assert not can_prepack(model, CPU)


def test_other_types_than_float32_and_other_builds_are_left_alone(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rough = load(vit_folder, dtype="bfloat16!")
    rough.classify(draw(1, 32))
    assert count_packed(rough) == 0
    model = transformers.AutoModelForImageClassification.from_pretrained(vit_folder)
    assert can_prepack(model, CPU)
    assert not can_prepack(model, torch.device("cuda"))
    monkeypatch.setattr(prepacking, "_OPERATORS", ("_no_such_operator",))
    assert not can_prepack(model, CPU)
