"""Small models with random weights, in the Hugging Face layout."""

import pathlib
from collections.abc import Callable
from typing import Any

import torch
import transformers
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

LABELS = 11

_SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
_SQUARE = {"image_size": 32, "patch_size": 8, "intermediate_size": 48, **_SMALL}


def _vit(**changes: Any) -> tuple[Any, Any]:
    config = transformers.ViTConfig(**{**_SQUARE, **changes})
    size = {"height": 32, "width": 32}
    return transformers.ViTForImageClassification(config), ViTImageProcessorPil(size=size)


def _deit(**changes: Any) -> tuple[Any, Any]:
    config = transformers.DeiTConfig(**_SQUARE, **changes)
    return transformers.DeiTForImageClassification(config), _deit_processor()


def _deit_distilled(**changes: Any) -> tuple[Any, Any]:
    config = transformers.DeiTConfig(**_SQUARE, **changes)
    return transformers.DeiTForImageClassificationWithTeacher(config), _deit_processor()


def _deit_processor() -> DeiTImageProcessorPil:
    size, crop = {"height": 36, "width": 36}, {"height": 32, "width": 32}
    return DeiTImageProcessorPil(size=size, crop_size=crop)


def _convnext(**changes: Any) -> tuple[Any, Any]:
    config = transformers.ConvNextConfig(
        hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 1, 1], **changes
    )
    processor = ConvNextImageProcessorPil(size={"shortest_edge": 64}, crop_pct=0.875)
    return transformers.ConvNextForImageClassification(config), processor


def _swin(**changes: Any) -> tuple[Any, Any]:
    sizes: dict[str, Any] = {"image_size": 32, "patch_size": 4, "window_size": 4, "embed_dim": 12}
    config = transformers.SwinConfig(depths=[1, 1], num_heads=[2, 2], **sizes, **changes)
    size = {"height": 32, "width": 32}
    return transformers.SwinForImageClassification(config), ViTImageProcessorPil(size=size)


def _resnet(**changes: Any) -> tuple[Any, Any]:
    sizes: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": [8, 12, 16, 24]}
    config = transformers.ResNetConfig(depths=[1, 1, 1, 1], **sizes, **changes)
    processor = ConvNextImageProcessorPil(size={"shortest_edge": 64}, crop_pct=0.875)
    return transformers.ResNetForImageClassification(config), processor


FAMILIES: dict[str, Callable[..., tuple[Any, Any]]] = {
    "vit": _vit,
    "deit": _deit,
    "deit_distilled": _deit_distilled,
    "convnext": _convnext,
    "swin": _swin,
    "resnet": _resnet,
}


def make_model(
    folder: pathlib.Path, family: str = "vit", seed: int = 0, **config: Any
) -> pathlib.Path:
    """Saves a model whose scores are well apart; returns its folder.

    Args:
        folder: is made.
        family: one of `FAMILIES`.
        seed: of the weights.
        **config: over the family's own, e.g. `num_labels`, `problem_type`.
    """
    torch.manual_seed(seed)
    model, processor = FAMILIES[family](**{"num_labels": LABELS, **config})
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # The library's own spread of 0.02 gives every image and class the same score, and
            # what is added to every image alike gives all of them one label.
            is_alike = name.endswith("bias") or "position" in name or "token" in name
            weight.normal_(0.0, 0.02 if is_alike else 0.6)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
