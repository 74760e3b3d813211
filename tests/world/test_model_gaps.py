"""Checkpoints that lack weights: only those that a prediction reads matter."""

import json
import pathlib
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from imgcls_beam.errors import ModelError
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.outcome_handler import OutcomeHandler
from tests.families.making import make_family
from tests.families.table import FAMILIES
from tests.scenes import draw_photo

UNREAD = {
    "ResNetForImageClassification": "num_batches_tracked",
    "MobileNetV2ForImageClassification": "num_batches_tracked",
    "SiglipForImageClassification": "vision_model.head.",
    "CLIPForImageClassification": "post_layernorm",
    "Dinov2ForImageClassification": "mask_token",
    "DonutSwinForImageClassification": "relative_position_index",
}
READ = {
    "ResNetForImageClassification": "running_var",
    "SiglipForImageClassification": "post_layernorm.bias",
    "DonutSwinForImageClassification": "relative_position_bias_table",
    "Dinov2ForImageClassification": "position_embeddings",
    "ViTForImageClassification": "classifier.bias",
}


def make(model_class: str, folder: pathlib.Path) -> pathlib.Path:
    (family,) = [each for each in FAMILIES if each.model_class == model_class]
    return make_family(folder, family)


def drop(folder: pathlib.Path, part: str) -> int:
    """Takes weights out of the file; returns how many."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    kept = {name: each for name, each in weights.items() if part not in name}
    save_file(kept, path, {"format": "pt"})
    return len(weights) - len(kept)


def score(folder: pathlib.Path) -> list[tuple[str, float]]:
    handler = OutcomeHandler(ModelOptions(str(folder), top_k=None))
    (result,) = handler.run_inference([draw_photo(5)], handler.load_model())
    return [(each.label, each.score) for each in result.inference.labels]


@pytest.mark.slow
@pytest.mark.parametrize("model_class", UNREAD)
def test_what_no_prediction_reads_may_be_missing(model_class: str, tmp_path: pathlib.Path) -> None:
    folder = make(model_class, tmp_path / "model")
    whole = dict(score(folder))
    assert drop(folder, UNREAD[model_class]) > 0
    found = dict(score(folder))
    assert found.keys() == whole.keys()
    assert all(abs(found[label] - whole[label]) <= 1e-5 for label in whole)


@pytest.mark.slow
@pytest.mark.parametrize("model_class", READ)
def test_what_a_prediction_reads_is_refused_by_name(
    model_class: str, tmp_path: pathlib.Path
) -> None:
    folder = make(model_class, tmp_path / "model")
    assert drop(folder, READ[model_class]) > 0
    with pytest.raises(ModelError, match="weights that a prediction reads") as caught:
        score(folder)
    assert READ[model_class].rpartition(".")[2] in str(caught.value)


def test_one_that_matters_is_found_among_many_that_do_not(tmp_path: pathlib.Path) -> None:
    folder = make("ResNetForImageClassification", tmp_path / "model")
    assert drop(folder, "num_batches_tracked") > 10
    assert drop(folder, "classifier.1.bias") == 1
    with pytest.raises(ModelError, match=r"reads \(classifier\.1\.bias\); it would predict"):
        score(folder)


def spoil(folder: pathlib.Path, *parts: str, value: float = float("nan")) -> int:
    """Puts what is no number into the first place of weights; returns how many."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    names = [name for name in weights if any(part in name for part in parts)]
    for name in names:
        weights[name].view(-1)[0] = value
    save_file(weights, path, {"format": "pt"})
    return len(names)


SPOILED_UNREAD = {
    "SiglipForImageClassification": "vision_model.head.",
    "CLIPForImageClassification": "post_layernorm",
    "Dinov2ForImageClassification": "mask_token",
}


@pytest.mark.parametrize("model_class", SPOILED_UNREAD)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_no_prediction_reads_may_hold_no_numbers(
    model_class: str, value: float, tmp_path: pathlib.Path
) -> None:
    folder = make(model_class, tmp_path / "model")
    whole = dict(score(folder))
    assert spoil(folder, SPOILED_UNREAD[model_class], value=value) > 0
    found = dict(score(folder))
    assert found.keys() == whole.keys()
    assert all(abs(found[label] - whole[label]) <= 1e-5 for label in whole)


@pytest.mark.parametrize("model_class", READ)
def test_what_a_prediction_reads_and_is_no_number_is_refused_by_name(
    model_class: str, tmp_path: pathlib.Path
) -> None:
    folder = make(model_class, tmp_path / "model")
    # Beside what no prediction reads, which is not to be blamed.
    assert spoil(folder, READ[model_class], *filter(None, [SPOILED_UNREAD.get(model_class)])) > 0
    with pytest.raises(ModelError, match="holds NaN or infinity; it cannot predict") as caught:
        score(folder)
    assert READ[model_class].rpartition(".")[2] in str(caught.value)


def test_what_is_no_number_is_told_where_it_comes_in_by_a_zero_alone(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = change(vit_folder, tmp_path / "model")
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["classifier.weight"].zero_()
    save_file(weights, path, {"format": "pt"})
    assert spoil(folder, "vit.layernorm.bias") == 1
    with pytest.raises(ModelError, match=r"the weight vit\.layernorm\.bias holds NaN"):
        score(folder)


def test_a_model_may_lack_one_weight_and_have_no_numbers_in_another(tmp_path: pathlib.Path) -> None:
    folder = make("SiglipForImageClassification", tmp_path / "model")
    assert spoil(folder, "head.layernorm.weight") == 1
    assert drop(folder, "head.probe") == 1
    assert score(folder)
    assert drop(folder, "post_layernorm.bias") == 1
    with pytest.raises(ModelError, match=r"reads \(vision_model\.post_layernorm\.bias\)"):
        score(folder)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "net."])
def test_names_that_a_wrapper_has_put_a_prefix_before_are_told(
    prefix: str, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    weights = load_file(vit_folder / "model.safetensors")
    for path in vit_folder.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    wrapped = {f"{prefix}{name}": each for name, each in weights.items()}
    save_file(wrapped, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError) as caught:
        score(tmp_path)
    assert repr(prefix) in str(caught.value)
    assert "take the prefix off" in str(caught.value)


def change(folder: pathlib.Path, to: pathlib.Path, **changes: Any) -> pathlib.Path:
    """A copy of a model with other settings."""
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (to / "config.json").write_text(json.dumps(config | changes))
    return to


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("return_dict", False),
        ("return_dict", None),
        ("hidden_size", None),
        ("hidden_size", "many"),
        ("image_size", [32]),
        ("patch_size", [8, 8, 8]),
        ("num_attention_heads", 0),
        ("hidden_act", None),
        ("layer_norm_eps", None),
        ("num_channels", [3]),
        ("transformers_weights", "../other.safetensors"),
        *(("hidden_act", "banana"), ("num_labels", None), ("use_return_dict", False)),
        *(("hidden_dropout_prob", 2.0), ("num_hidden_layers", 2.0), ("hidden_size", 24.0)),
        *(("id2label", {}), ("id2label", None)),
        ("quantization_config", {"quant_method": "bitsandbytes", "load_in_8bit": True}),
        ("quantization_config", {}),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    name: str, value: object, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = change(vit_folder, tmp_path / "model", **{name: value})
    with pytest.raises(ModelError, match=f"{name} of its config.json") as caught:
        score(folder)
    assert "\n" not in str(caught.value)


def test_a_package_that_quantized_weights_want_is_named(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    how = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    folder = change(vit_folder, tmp_path / "model", quantization_config=how)
    with pytest.raises(ModelError, match=r'"bitsandbytes", which cannot be used here \(.*requires'):
        score(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id2label": None}, "id2label of its config.json is null, which makes 2 classes"),
        ({"id2label": None, "num_labels": 3}, "num_labels of its config.json is 3"),
        (
            {"id2label": {str(i): f"l{i}" for i in range(3)}},
            "id2label of its config.json names 3 classes",
        ),
    ],
)
def test_a_config_of_another_number_of_classes_is_told(
    changes: dict[str, Any], said: str, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = change(vit_folder, tmp_path / "model", **changes)
    with pytest.raises(ModelError) as caught:
        score(folder)
    count = len(json.loads((vit_folder / "config.json").read_text())["id2label"])
    assert (
        f": {said}, and its weights have {count} (classifier.bias, classifier.weight), so it would"
        in str(caught.value)
    )


def test_a_config_without_a_model_type_is_told(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = change(vit_folder, tmp_path / "model", model_type=None)
    with pytest.raises(ModelError, match=r"its config\.json names no model_type; take"):
        score(folder)


def test_a_setting_of_the_part_that_sees_is_named_with_its_part(tmp_path: pathlib.Path) -> None:
    folder = make("SiglipForImageClassification", tmp_path / "model")
    vision = json.loads((folder / "config.json").read_text())["vision_config"]
    vision["image_size"] = None
    with pytest.raises(ModelError, match=r"image_size"):
        score(change(folder, tmp_path / "other", vision_config=vision))


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_a_trainers_checkpoint_is_told_by_what_it_holds(
    key: str, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    model = transformers.AutoModelForImageClassification.from_pretrained(vit_folder)
    for path in vit_folder.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save({"epoch": 3, key: model.state_dict()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=f"its weights lie under '{key}'") as caught:
        score(tmp_path)
    assert "pytorch_model.bin" in str(caught.value)


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize(
    ("held", "kind"),
    [([torch.zeros(2)], "list"), (torch.zeros(2), "Tensor"), ((1,), "tuple"), (None, "NoneType")],
)
def test_a_pickle_of_no_weights_by_name_is_told_by_what_it_holds(
    held: object, kind: str, is_new: bool, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for path in vit_folder.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "pytorch_model.bin"
    torch.save(held, path, _use_new_zipfile_serialization=is_new)
    said = rf"pytorch_model\.bin holds no weights by their names but a {kind}; save the model"
    with pytest.raises(ModelError, match=said):
        score(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("image_mean", [0.5]), ("image_mean", None), ("image_std", [0.5, 0.5]), ("image_std", 0)),
        *(("size", None), ("size", [32]), ("resample", None), ("rescale_factor", None)),
    ],
)
def test_a_setting_of_the_image_processor_that_cannot_be_is_named(
    name: str, value: object, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = change(vit_folder, tmp_path / "model")
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(ModelError, match=f"its image processor prepares no image where {name} is"):
        score(folder)
