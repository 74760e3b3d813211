"""Small models of timm with random weights, in folders as they are on the hub."""

import json
import pathlib
from typing import Any

import timm
import transformers
from safetensors.torch import save_file

from tests.families.making import LABELS, fit_model

OPENAI = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
NONE = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}

CASES: dict[str, dict[str, Any]] = {
    "resnet18": {"crop_pct": 0.95, "interpolation": "bicubic", "test_input_size": [3, 288, 288]},
    "resnet10t": {"crop_pct": 0.95, "input_size": [3, 176, 176], "test_crop_pct": 1.0},
    "mobilenetv3_small_050": {"crop_pct": 0.875, "interpolation": "bilinear"},
    "tinynet_e": {"input_size": [3, 106, 106], "interpolation": "bicubic"},
    "lcnet_050": {"interpolation": "lanczos", "crop_pct": 0.9},
    "mobilenetv4_conv_small_035": {**HALF, "crop_pct": 0.95, "test_input_size": [3, 256, 256]},
    "vit_tiny_patch16_224": {**HALF, "crop_pct": 0.9},
    "deit_tiny_patch16_224": {"crop_pct": 0.9},
    "convnext_atto": {"crop_pct": 0.95, "test_input_size": [3, 288, 288], "test_crop_pct": 0.95},
    "mobilevit_xxs": {**NONE, "input_size": [3, 256, 256], "crop_pct": 0.9},
    "dla46_c": {"crop_pct": 0.9, "crop_mode": "border"},
    "edgenext_xx_small": {"input_size": [3, 256, 256], "crop_mode": "squash", "crop_pct": 1.0},
    "efficientnet_b0": {"interpolation": "nearest", "crop_pct": 0.8},
    "repvgg_a0": {"input_size": [3, 160, 224], "crop_pct": 0.9},
    "ghostnet_050": {"input_size": [3, 224, 160], "crop_mode": "border", "interpolation": "box"},
    "regnetx_002": {**OPENAI, "crop_mode": "squash", "crop_pct": 0.94},
    "xcit_nano_12_p16_224": {"crop_pct": 1.0, "interpolation": "hamming", "crop_mode": "border"},
}
"""Architectures, and what of their `pretrained_cfg` is not timm's default for them."""

_KEPT = (
    *("input_size", "test_input_size", "interpolation", "crop_pct", "crop_mode", "test_crop_pct"),
    *("mean", "std", "pool_size", "first_conv", "classifier", "fixed_input_size"),
)


def make_timm(folder: pathlib.Path, architecture: str, **changes: Any) -> pathlib.Path:
    """Saves config.json and weights as timm's repositories have them: no `model_type`, plain names.

    Args:
        folder: is made.
        architecture: of `timm.list_models()`.
        **changes: of the `pretrained_cfg`.
    """
    own = timm.create_model(architecture, num_classes=LABELS)
    pretrained = {name: own.pretrained_cfg[name] for name in _KEPT if name in own.pretrained_cfg}
    config = {
        "architecture": architecture,
        "num_classes": LABELS,
        "num_features": own.num_features,
        "pretrained_cfg": {"tag": "made_up", "num_classes": LABELS, **pretrained, **changes},
        "label_names": [f"label {index}" for index in range(LABELS)],
    }
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    read = transformers.AutoConfig.from_pretrained(folder)
    kind = transformers.AutoModelForImageClassification
    model = fit_model(lambda: kind.from_config(read), processor)
    weights = {name.removeprefix("timm_model."): each for name, each in model.state_dict().items()}
    save_file(
        {name: each.contiguous() for name, each in weights.items()}, folder / "model.safetensors"
    )
    return folder
