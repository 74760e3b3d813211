"""One model per process, checked before its first image."""

import concurrent.futures
import gc
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import weakref
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from imgcls_beam.classifying import Classifier, ClassifierSpec, load_classifier, resolve_model
from imgcls_beam.elements import ChannelAffine, Pixels
from imgcls_beam.errors import ModelError
from imgcls_beam.preparing import load_preparer
from tests.models import FAMILIES, LABELS, make_model

ROOT = pathlib.Path(__file__).parents[2]
AFFINE = ChannelAffine((1 / 127.5,) * 3, (-1.0,) * 3)


def make_spec(folder: pathlib.Path, **changes: Any) -> ClassifierSpec:
    return ClassifierSpec(
        **{"source": resolve_model(str(folder), None), "affine": AFFINE, **changes}
    )


def load(folder: pathlib.Path, **changes: Any) -> Classifier:
    return load_classifier(make_spec(folder, **changes))


def draw(count: int, size_px: int = 32) -> list[Pixels]:
    rng = np.random.default_rng(5)
    return list(rng.integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8))


def change_config(folder: pathlib.Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_weights(folder: pathlib.Path, name: str, weight: torch.Tensor | None) -> None:
    """Replaces a weight, or takes it away."""
    weights = load_file(folder / "model.safetensors")
    weights.pop(name)
    if weight is not None:
        weights[name] = weight
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.fixture
def folder(tmp_path: pathlib.Path, vit_folder: pathlib.Path) -> pathlib.Path:
    """A model that may be spoiled."""
    return pathlib.Path(shutil.copytree(vit_folder, tmp_path / "spoiled"))


def test_the_same_spec_gives_the_same_model_and_another_dtype_another(
    vit_folder: pathlib.Path,
) -> None:
    first = load(vit_folder)
    assert load(vit_folder) is first
    assert load(vit_folder, dtype="bfloat16") is not first
    assert load(vit_folder, affine=None) is not first


def test_many_threads_load_one_model(folder: pathlib.Path) -> None:
    ready = threading.Barrier(8)

    def load_together() -> Classifier:
        ready.wait()
        return load(folder)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        loaded = [each.result() for each in [pool.submit(load_together) for _ in range(8)]]
    assert len({id(each) for each in loaded}) == 1


def test_a_model_is_forgotten_when_nobody_holds_it(folder: pathlib.Path) -> None:
    classifier = load(folder)
    watched = weakref.ref(classifier)
    weights = weakref.ref(next(classifier._model.parameters()))  # type: ignore[attr-defined]
    del classifier
    gc.collect()
    assert watched() is None
    assert weights() is None


def test_a_model_that_could_not_be_loaded_is_tried_again(folder: pathlib.Path) -> None:
    spec = make_spec(folder)
    kept = (folder / "model.safetensors").rename(folder / "kept")
    with pytest.raises(ModelError):
        load_classifier(spec)
    kept.rename(folder / "model.safetensors")
    assert load_classifier(spec).describe().labels


HEAD = "classifier.weight"
SPOILED = {
    "no head": (HEAD, None),
    "another head": (HEAD, torch.zeros(LABELS + 1, 24)),
    "no bias": ("classifier.bias", None),
    "NaN": (HEAD, torch.full((LABELS, 24), float("nan"))),
    "infinity": ("vit.embeddings.cls_token", torch.full((1, 1, 24), float("inf"))),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_model_that_would_predict_at_random_is_refused_by_name(
    folder: pathlib.Path, how: str
) -> None:
    name, weight = SPOILED[how]
    change_weights(folder, name, weight)
    with pytest.raises(ModelError, match=f"^{folder}: ") as caught:
        load(folder)
    said = str(caught.value)
    assert name in said
    assert "predict" in said and "\n" not in said


def spoil(folder: pathlib.Path, how: str) -> None:
    weights = folder / "model.safetensors"
    if how == "text model":
        config = transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
        config.save_pretrained(folder)
    elif how == "unheard-of model":
        change_config(folder, model_type="unheard-of")
    elif how == "no weights":
        weights.unlink()
    elif how == "cut weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "noise for weights":
        weights.write_bytes(bytes(1000))
    elif how == "config is a list":
        (folder / "config.json").write_text("[]")
    elif how == "config is no JSON":
        (folder / "config.json").write_text("{")
    elif how == "size is text":
        change_config(folder, hidden_size="many")
    elif how == "no heads at all":
        change_config(folder, num_attention_heads=0)


@pytest.mark.parametrize(
    "how",
    [
        *("text model", "unheard-of model", "no weights", "cut weights", "noise for weights"),
        *("config is a list", "config is no JSON", "size is text", "no heads at all"),
    ],
)
def test_a_folder_that_holds_no_such_model_is_refused_by_name(
    folder: pathlib.Path, how: str
) -> None:
    spoil(folder, how)
    with pytest.raises(ModelError, match=f"^{folder}: the model cannot be loaded") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_pickle_that_runs_code_is_not_loaded(folder: pathlib.Path) -> None:
    (folder / "model.safetensors").unlink()
    trap = folder / "opened"
    torch.save({"classifier.weight": Trap(str(trap))}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=f"^{folder}: "):
        load(folder)
    assert not trap.exists()


class Trap:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def test_cuda_is_refused_where_there_is_none(folder: pathlib.Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ModelError, match="no CUDA device"):
        load(folder, device="cuda")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "softmax"),
        ({"problem_type": "single_label_classification"}, "softmax"),
        ({"problem_type": "multi_label_classification"}, "sigmoid"),
        ({"problem_type": "regression"}, "none"),
        ({"num_labels": 1}, "sigmoid"),
        ({"num_labels": 1, "problem_type": "regression"}, "none"),
    ],
)
def test_the_activation_is_what_the_models_config_asks_for(
    tmp_path: pathlib.Path, config: dict[str, Any], expected: str
) -> None:
    card = load(make_model(tmp_path / "m", **config)).describe()
    assert card.function_to_apply == expected
    assert len(card.labels) == config.get("num_labels", LABELS)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"0": "cat", "1": "dog", "2": "cat"}, ("cat", "dog", "cat")),
        ({"2": "dog", "0": "cat"}, ("cat", "LABEL_1", "dog")),
        ({"0": "=HYPERLINK(1)", "1": "", "2": "a\nb"}, ("=HYPERLINK(1)", "", "a\nb")),
        ({"0": 7, "1": "x", "2": "y"}, ("7", "x", "y")),
    ],
)
def test_labels_come_as_they_are_and_missing_ones_get_a_name(
    tmp_path: pathlib.Path, names: dict[str, Any], expected: tuple[str, ...]
) -> None:
    folder = make_model(tmp_path / "m", num_labels=3)
    change_config(folder, id2label=names, num_labels=3)
    assert load(folder).describe().labels == expected


def test_a_card_says_what_runs_where(vit_folder: pathlib.Path) -> None:
    model = transformers.AutoModelForImageClassification.from_pretrained(vit_folder)
    size_bytes = 4 * sum(each.numel() for each in model.parameters())
    for dtype, divisor in (("auto", 1), ("float32", 1), ("bfloat16", 2)):
        card = load(vit_folder, dtype=dtype, device="cpu").describe()
        expected = "float32" if dtype == "auto" else dtype
        assert (card.device, card.dtype) == ("cpu", expected)
        assert card.size_bytes == size_bytes // divisor


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_reference_model(
    family: str, model_folders: dict[str, pathlib.Path]
) -> None:
    folder = model_folders[family]
    affine = load_preparer(resolve_model(str(folder), None)).affine
    assert affine is not None
    model = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    batch = draw(3, 64 if family in ("convnext", "resnet") else 32)
    values = np.stack(batch).astype(np.float32) * np.float32(affine.scale) + np.float32(
        affine.shift
    )
    ready = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    with torch.inference_mode():
        expected = model(pixel_values=torch.from_numpy(ready)).logits.numpy()
    assert np.ptp(expected) > 0.1
    for found in (
        load(folder, affine=affine).classify(batch),
        load(folder, affine=None).classify(list(ready)),
    ):
        assert (found.dtype, found.shape) == (np.float32, (3, LABELS))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_model_of_half_precision_answers_in_float32(vit_folder: pathlib.Path) -> None:
    exact = load(vit_folder).classify(draw(4))
    rough = load(vit_folder, dtype="bfloat16").classify(draw(4))
    assert rough.dtype == np.float32
    assert not np.array_equal(rough, exact)
    np.testing.assert_allclose(rough, exact, atol=0.1 * float(np.abs(exact).max()))


def test_importing_the_package_imports_no_torch() -> None:
    program = "import sys, imgcls_beam.classifying; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
