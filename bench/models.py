"""Models to measure with: the published architectures with random weights, and the demo's."""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

LABELS = 1000
DEMO = pathlib.Path(__file__).parents[1] / "demo" / "model"

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_WIDE_CROP = {"size": {"shortest_edge": 224}, "crop_pct": 0.875, **_IMAGENET}
_LINEAR_STD = 0.05
"""The library's own spread of 0.02 gives every image nearly the same scores, among which float32
rounding would choose the best."""
_LOGIT_STD = 2.0
_SEEN_IMAGES = 8


@dataclasses.dataclass(frozen=True, slots=True)
class _Recipe:
    """What a published checkpoint of a name is made of.

    Attributes:
        config: class of transformers.
        sizes: what its config says.
        processor: module of `transformers.models`, and class: the backend that works in Pillow.
        steps: what its processor's config says.
    """

    config: str
    sizes: Mapping[str, Any]
    processor: tuple[str, str]
    steps: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_VIT = ("vit.image_processing_pil_vit", "ViTImageProcessorPil")
_DEIT = ("deit.image_processing_pil_deit", "DeiTImageProcessorPil")
_CONVNEXT = ("convnext.image_processing_pil_convnext", "ConvNextImageProcessorPil")
_MOBILENET = ("mobilenet_v2.image_processing_pil_mobilenet_v2", "MobileNetV2ImageProcessorPil")
_SMALL = {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3}
_BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
_BASIC = {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]}

_RECIPES = {
    "vit-192": _Recipe("ViTConfig", _SMALL, _VIT),
    "vit-base": _Recipe("ViTConfig", _BASE, _VIT),
    "deit-distilled": _Recipe("DeiTConfig", _BASE, _DEIT, _IMAGENET),
    "convnext-tiny": _Recipe("ConvNextConfig", {}, _CONVNEXT, _WIDE_CROP),
    "resnet-18": _Recipe("ResNetConfig", _BASIC, _CONVNEXT, _WIDE_CROP),
    "mobilenet-v2": _Recipe("MobileNetV2Config", {}, _MOBILENET),
}
MADE = tuple(_RECIPES)
"""Those that `make_model` makes."""
NAMES = (*MADE, "demo")

_IMAGES_OF = {
    **{"vit-base": 64, "deit-distilled": 64, "convnext-tiny": 128},
    **{"resnet-18": 240, "mobilenet-v2": 240},
}
"""Slow models get fewer: the whole is to be done within 45 minutes."""


def choose_count(name: str, most: int) -> int:
    """How many images a model of this name is measured on, at most so many."""
    return min(most, _IMAGES_OF.get(name, most))


def locate(name: str, folder: pathlib.Path) -> pathlib.Path:
    """The folder of a model: the demo's, one that somebody names, or one that is to be made.

    Args:
        name: one of `NAMES`, or a folder.
        folder: in which it is made.
    """
    if name == "demo":
        return DEMO
    return folder / name if name in _RECIPES else pathlib.Path(name)


def make_model(folder: pathlib.Path, name: str, seed: int = 0) -> pathlib.Path:
    """Saves a model of 224 pixels and 1,000 labels in the Hugging Face layout.

    Args:
        folder: is made.
        name: one of `MADE`.
        seed: of the weights.

    Returns:
        The folder.
    """
    import importlib

    import torch
    import transformers

    recipe = _RECIPES[name]
    torch.manual_seed(seed)
    config = getattr(transformers, recipe.config)(num_labels=LABELS, **recipe.sizes)
    if name == "deit-distilled":
        model: Any = transformers.DeiTForImageClassificationWithTeacher(config)
    else:
        model = transformers.AutoModelForImageClassification.from_config(config)
    with torch.no_grad():
        _draw_weights(model)
    model.eval().save_pretrained(folder)
    module, processor = recipe.processor
    loaded = importlib.import_module(f"transformers.models.{module}")
    getattr(loaded, processor)(**recipe.steps).save_pretrained(folder)
    return folder


def _draw_weights(model: Any) -> None:  # noqa: ANN401  transformers' own class
    """Spreads the answers, as training would: means and variances of norms, and the last layer."""
    import torch

    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight.normal_(0.0, _LINEAR_STD)
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the mean over what is seen
    noise = torch.randn(_SEEN_IMAGES, 3, 224, 224)
    model.train()(pixel_values=noise)
    spread = float(model.eval()(pixel_values=noise).logits.std())
    heads = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    for head in (each for each in heads if each.out_features == LABELS):
        head.weight.mul_(_LOGIT_STD / spread)


if __name__ == "__main__":  # NAME FOLDER
    make_model(pathlib.Path(sys.argv[2]) / sys.argv[1], sys.argv[1])
