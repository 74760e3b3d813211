"""How much a model has to do for an image, and how fast a GPU is likely to do it.

The share of a GPU's peak that a forward pass reaches is from published measurements: timm's 2,787
images/s of ViT-base and 1,206 of ConvNeXt-large on an RTX 4090 of 165 TFLOP/s are 59 and 50 %
(`results/benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv` of pytorch-image-models).
"""

import pathlib
from typing import Any

from imgcls_beam.accelerators import Accelerator

_HALF_SHARES = (0.3, 0.6)
_SINGLE_SHARES = (0.6, 0.8)
"""Of the peak, the least and the most; float32 keeps the units busy more easily, being slower."""

_UNCOUNTABLE = (RuntimeError, NotImplementedError, ValueError, TypeError, LookupError, OSError)
"""What is raised for a model that has to look at its values, of which there are none here."""


def estimate_passes(
    accelerator: Accelerator, work_gflop: float, *, is_half: bool
) -> tuple[float, float]:
    """Images/s that a GPU is likely to predict, the least and the most.

    Args:
        accelerator: which.
        work_gflop: of one image.
        is_half: whether the weights are bfloat16 or float16, not float32.
    """
    peak = accelerator.half_tflops if is_half else accelerator.single_tflops
    low, high = _HALF_SHARES if is_half else _SINGLE_SHARES
    return low * peak * 1e3 / work_gflop, high * peak * 1e3 / work_gflop


def count_work_gflop(folder: pathlib.Path, size_px: tuple[int, int]) -> float | None:
    """Operations of one forward pass of one image, in 1e9; None for a model that cannot be counted.

    The model is made without its weights, and nothing is computed.

    Args:
        folder: of the model.
        size_px: height and width of what it is given.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoConfig, AutoModelForImageClassification

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        with torch.device("meta"), torch.no_grad():
            model: Any = AutoModelForImageClassification.from_config(config).eval()
            channels = getattr(config, "num_channels", 3)
            with FlopCounterMode(display=False) as counter:
                model(pixel_values=torch.empty(1, channels, *size_px))
    except _UNCOUNTABLE:
        return None
    total = counter.get_total_flops()
    return total / 1e9 if total else None
