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

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from imgcls_beam.classifying import Classifier, ClassifierSpec, load_classifier, resolve_model
from imgcls_beam.elements import ChannelAffine
from imgcls_beam.errors import ModelError
from tests.models import LABELS, make_model

ROOT = pathlib.Path(__file__).parents[2]
AFFINE = ChannelAffine((1 / 127.5,) * 3, (-1.0,) * 3)


def make_spec(folder: pathlib.Path, **changes: Any) -> ClassifierSpec:
    return ClassifierSpec(
        **{"source": resolve_model(str(folder), None), "affine": AFFINE, **changes}
    )


def load(folder: pathlib.Path, **changes: Any) -> Classifier:
    return load_classifier(make_spec(folder, **changes))


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


def test_a_norm_whose_statistics_are_not_finite_is_refused_too(tmp_path: pathlib.Path) -> None:
    folder = make_model(tmp_path / "m", "resnet")
    name = "resnet.embedder.embedder.normalization.running_var"
    change_weights(folder, name, torch.full((8,), float("nan")))
    with pytest.raises(ModelError, match=name):
        load(folder)


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


def test_importing_the_package_imports_no_torch() -> None:
    program = "import sys, imgcls_beam.classifying; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
