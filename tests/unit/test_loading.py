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

from imgcls_beam.classifying import Classifier, ClassifierSpec, load_classifier
from imgcls_beam.errors import ConfigError, ModelError
from imgcls_beam.models import resolve_model
from imgcls_beam.scoring import ChannelAffine
from tests.models import LABELS, make_model
from tests.probes import probe_levels, probe_ready

ROOT = pathlib.Path(__file__).parents[2]
AFFINE = ChannelAffine((1 / 127.5,) * 3, (-1.0,) * 3)


def make_spec(folder: pathlib.Path, **changes: Any) -> ClassifierSpec:
    return ClassifierSpec(
        **{
            **{"source": resolve_model(str(folder), None), "affine": AFFINE, "engine": "torch"},
            **changes,
        }
    )


def load(folder: pathlib.Path, **changes: Any) -> Classifier:
    spec = make_spec(folder, **changes)
    return load_classifier(spec, probe_ready(32) if spec.affine is None else probe_levels())


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
    assert load(vit_folder, dtype="bfloat16!") is not first
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
    weights = weakref.ref(next(classifier._runner.model.parameters()))  # type: ignore[attr-defined]
    del classifier
    gc.collect()
    assert watched() is None
    assert weights() is None


def test_a_model_that_could_not_be_loaded_is_tried_again(folder: pathlib.Path) -> None:
    spec = make_spec(folder)
    kept = (folder / "model.safetensors").rename(folder / "kept")
    with pytest.raises(ModelError):
        load_classifier(spec, probe_levels())
    kept.rename(folder / "model.safetensors")
    assert load_classifier(spec, probe_levels()).describe().labels


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
    elif how == "weights of another form":
        header = b'{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}'
        weights.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


@pytest.mark.parametrize(
    "how",
    [
        *("text model", "unheard-of model", "weights of another form"),
    ],
)
def test_a_folder_that_holds_no_such_model_is_refused_by_name(
    folder: pathlib.Path, how: str
) -> None:
    spoil(folder, how)
    with pytest.raises(ModelError, match=f"^{folder}: the model cannot be loaded") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


CODE = {"AutoModelForImageClassification": "model.Mine", "AutoConfig": "model.MyConfig"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model_type": "mine", "auto_map": CODE}, "code of a model is never run here"),
        ({"model_type": ["mine"], "auto_map": CODE}, "code of a model is never run here"),
        ({"id2label": {"cat": "0", "dog": "1"}}, "keys that are not the numbers of classes"),
        ({"id2label": {"-1": "cat", "0": "dog"}}, "keys that are not the numbers of classes"),
        ({"id2label": {"1": "cat", "01": "dog"}}, "keys that are not the numbers of classes"),
        ({"id2label": {"1.0": "cat"}}, "keys that are not the numbers of classes"),
        ({"id2label": {"9" * 5000: "cat"}}, "keys that are not the numbers of classes"),
        ({"id2label": ["cat", "dog"]}, "id2label of its config.json is not an object"),
        ({"id2label": {"0": None}}, "has a name that is none"),
        ({"id2label": {"0": ["cat"]}}, "has a name that is none"),
        ({"num_labels": 0}, "num_labels of its config.json is not 1 or more"),
        ({"num_labels": "eleven"}, "num_labels of its config.json is not 1 or more"),
        ({"num_labels": True}, "num_labels of its config.json is not 1 or more"),
    ],
)
def test_a_config_that_names_no_classes_or_wants_code_is_refused(
    folder: pathlib.Path, changes: dict[str, Any], problem: str
) -> None:
    change_config(folder, **changes)
    with pytest.raises(ModelError, match=f"^{folder}: ") as caught:
        load(folder)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_native_model_that_mentions_code_is_loaded_with_the_librarys_own(
    folder: pathlib.Path,
) -> None:
    change_config(folder, auto_map=CODE)
    assert load(folder).describe().labels


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *(("[]", "not a JSON object"), ("{", "cut off in line 1"), ("{1", "not JSON in line 1")),
        ("[" * 100_000, "nested deeper than 64"),
    ],
)
def test_a_config_that_is_none_is_refused(folder: pathlib.Path, text: str, problem: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises((ModelError, ConfigError), match=f"config.json is {problem}"):
        load(folder)


def test_weights_that_went_away_are_said_to_be_gone(folder: pathlib.Path) -> None:
    spec = make_spec(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=f"^{folder}: its files have changed since the job"):
        load_classifier(spec, probe_levels())


def test_a_model_of_another_kind_is_refused_with_what_it_was_made_as(
    folder: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    transformers.ViTModel.from_pretrained(vit_folder).save_pretrained(folder)
    with pytest.raises(ModelError, match="the checkpoint of a ViTModel lacks or misshapes weights"):
        load(folder)


def test_safetensors_are_read_where_there_are_both(folder: pathlib.Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"never looked at")
    assert make_spec(folder).source.weights == "model.safetensors"
    assert load(folder).describe().labels


@pytest.mark.parametrize("is_safe", [True, False])
def test_weights_in_shards_are_read(
    folder: pathlib.Path, vit_folder: pathlib.Path, is_safe: bool
) -> None:
    (folder / "model.safetensors").unlink()
    model = transformers.AutoModelForImageClassification.from_pretrained(vit_folder)
    if is_safe:
        model.save_pretrained(folder, max_shard_size="20KB")
    else:
        write_bin_shards(folder, model.state_dict())
    stem = "model.safetensors" if is_safe else "pytorch_model.bin"
    assert make_spec(folder).source.weights == f"{stem}.index.json"
    found = load(folder)._runner.model.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(found[name], each) for name, each in model.state_dict().items())


def write_bin_shards(folder: pathlib.Path, weights: dict[str, torch.Tensor]) -> None:
    names = [f"pytorch_model-{i:05d}-of-00002.bin" for i in (1, 2)]
    where = {name: names[i % 2] for i, name in enumerate(weights)}
    for shard in names:
        torch.save(
            {name: weights[name] for name in weights if where[name] == shard}, folder / shard
        )
    index = {"metadata": {}, "weight_map": where}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def test_a_pickle_that_runs_code_is_not_loaded(folder: pathlib.Path) -> None:
    (folder / "model.safetensors").unlink()
    trap = folder / "opened"
    torch.save({"classifier.weight": Trap(str(trap))}, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"pytorch_model\.bin holds more than weights"):
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
