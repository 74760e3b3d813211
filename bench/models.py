"""Models to measure with: the published architectures, with random weights."""

import pathlib

_SHAPES = {
    "vit-192": {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3},
    "vit-base": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
}
NAMES = tuple(_SHAPES)

_LABELS = 1000
_WEIGHT_STD = 0.05
_HEAD_STD = 0.15
"""The library's own spread of 0.02 gives every image nearly the same scores, among which float32
rounding would choose the best."""


def make_model(folder: pathlib.Path, name: str, seed: int = 0) -> pathlib.Path:
    """Saves a ViT of 12 layers, 224 pixels and 1,000 labels in the Hugging Face layout.

    Args:
        folder: is made.
        name: one of `NAMES`.
        seed: of the weights.

    Returns:
        The folder.
    """
    import torch
    import transformers
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(seed)
    config = transformers.ViTConfig(num_labels=_LABELS, **_SHAPES[name])
    model = transformers.ViTForImageClassification(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(0.0, _WEIGHT_STD)
        model.classifier.weight.normal_(0.0, _HEAD_STD)
    model.eval().save_pretrained(folder)
    ViTImageProcessorPil().save_pretrained(folder)
    return folder
