"""A family's small model, in the Hugging Face layout."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from imgcls_beam.classifying.judging import find_logits
from tests.families.table import Family
from tests.scenes import draw_photo

LABELS = 11
_PHOTOS, _PHOTO_PX = 12, (90, 70)
_SPREAD = 2.0
"""Standard deviation of a label's logits over images: a best score lies between 0.3 and 1."""

_ENOUGH_SPREAD, _SEEDS = 0.02, 6
"""Seeds are tried until a label's logits differ so much."""

_MAX_NOISE, _ROUNDING = 1e-5, 5e-7
"""Deep networks of random weights magnify what is rounded: the library's own scores of one image
may differ by 1e-4 between a batch of one and a batch of many. Where a model's logits would differ
by more than this, by a batch or by a rounding of its input, they are spread less."""


def make_family(folder: pathlib.Path, family: Family) -> pathlib.Path:
    """Saves a model with random weights, and its image processor; returns the folder.

    The weights are fitted to a few photos in that each norm has their statistics, and each label's
    logits differ from photo to photo: else every image would have the same scores.
    """
    names = {index: f"label {index}" for index in range(LABELS)}
    config = CONFIG_MAPPING[family.model_type](**{"id2label": names, **family.config})
    processor = _make_processor(family)
    model = fit_model(lambda: getattr(transformers, family.model_class)(config), processor)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def fit_model(make: Callable[[], Any], processor: Any) -> Any:
    """A model whose scores tell pictures apart.

    Args:
        make: a model with random weights, in transformers' form.
        processor: of its images.
    """
    photos = [draw_photo(1000 + index, _PHOTO_PX) for index in range(_PHOTOS)]
    photos[::3] = [photo.convert("1").convert("RGB") for photo in photos[::3]]
    inputs = dict(processor(images=photos, return_tensors="pt"))
    for seed in range(_SEEDS):
        torch.manual_seed(seed)
        model = make()
        with torch.no_grad():
            _spread_weights(model)
            _fit_norms(model, inputs)
            spread = _fit_heads(model.eval(), inputs)
        if spread >= _ENOUGH_SPREAD:
            break
    return model


def _make_processor(family: Family) -> Any:
    settings = dict(family.settings)
    if "clusters" in settings:
        settings["clusters"] = np.random.default_rng(0).uniform(-1, 1, (16, 3)).tolist()
    return getattr(transformers, f"{family.processor}Pil")(**settings)


def _spread_weights(model: torch.nn.Module) -> None:
    """Weights that keep the size of what goes through them, instead of the library's 0.02."""
    for name, weight in model.named_parameters():
        is_alike = name.endswith("bias") or "position" in name or "token" in name
        if weight.dim() > 1 and not is_alike:
            weight.normal_(0.0, 1.5 / weight[0].numel() ** 0.5)


def _fit_norms(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> None:
    """Running statistics are those of the photos, as after a training."""
    kinds = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)
    norms = [each for each in model.modules() if isinstance(each, kinds)]
    model.eval()
    for norm in norms:
        norm.momentum = None
        norm.train()
    if norms:
        model(**inputs)


def _fit_heads(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> float:
    """Scales and centres the last layers; returns the spread of a label's logits over images."""
    heads = [
        each
        for each in model.modules()
        if isinstance(each, torch.nn.Linear | torch.nn.Conv2d) and len(each.weight) == LABELS
    ]
    assert heads
    logits = find_logits(model(**inputs))
    spread = float(logits.std(dim=0).mean())
    factor = _SPREAD / spread
    factor = min(factor, _MAX_NOISE / max(1e-30, _measure_noise(model, inputs, logits)))
    for head in heads:
        head.weight.mul_(factor)
        if head.bias is not None:
            # Each label is the best of some images.
            head.bias.mul_(factor).sub_(logits.mean(dim=0) * factor)
    return spread * factor


def _measure_noise(
    model: torch.nn.Module, inputs: dict[str, torch.Tensor], logits: torch.Tensor
) -> float:
    """How far the library's own logits lie apart for one image."""
    noise = torch.Generator().manual_seed(0)
    rounded = {
        name: each + _ROUNDING * torch.randn(each.shape, generator=noise)
        if each.is_floating_point()
        else each
        for name, each in inputs.items()
    }
    one_by_one = [
        find_logits(model(**{name: each[index : index + 1] for name, each in inputs.items()}))
        for index in range(_PHOTOS)
    ]
    others = (find_logits(model(**rounded)), torch.cat(one_by_one))
    return max(float((logits - other).abs().max()) for other in others)
