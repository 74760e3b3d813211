"""Linear layers in the layout that the CPU's own library wants. Heavy: imports torch.

Torch's CPU build hands a float32 `nn.Linear` to MKL, which on AMD takes an AVX2 path: ViT-base at
batch 16 gives 4.8 images/s on two cores. oneDNN takes the AVX-512 path and gives 9.3; it wants the
weight in a blocked layout, which is worth making once. The two operators used here are those that
torch.compile emits for a frozen model; they are private, so the caller compares the logits first.
"""

import functools
import math
from collections.abc import Mapping

import torch

_OPERATORS = ("_reorder_linear_weight", "_linear_pointwise")
_TUNED_IMAGES = 16
"""Images for which the layout is tuned; it is right for any number."""

_WORTH_WEIGHTS = 1 << 14
"""Fewer weights are multiplied as fast without, and a layout costs up to 16 ms to begin with."""


class PackedLinear(torch.nn.Module):
    """An `nn.Linear` whose weight only oneDNN can read; for inference."""

    def __init__(self, linear: torch.nn.Linear, rows: int) -> None:
        """Packs a float32 weight on the CPU, for about so many rows (vectors) at once."""
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)
        self._bias = None if linear.bias is None else linear.bias.detach().clone()

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """(…, in) → (…, out)."""
        packed: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            vectors, self._weight, self._bias, "none", [], ""
        )
        return packed


def can_prepack(model: torch.nn.Module, device: torch.device) -> bool:
    """Whether this build of torch has the operators, and the model something to gain."""
    if device.type != "cpu" or not torch._C._has_mkldnn:
        return False
    has_operators = all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)
    return has_operators and any(map(_is_linear, model.modules()))


def prepack(model: torch.nn.Module, one: Mapping[str, torch.Tensor]) -> None:
    """Replaces the linear layers of a float32 model on the CPU in place.

    The inputs of one image show how many vectors each layer gets.
    """
    for name, rows in _count_rows(model, one).items():
        # One at a time, by name: a list of the layers would keep their old weights in memory.
        parent_name, _, child_name = name.rpartition(".")
        parent = model.get_submodule(parent_name)
        linear = parent.get_submodule(child_name)
        assert isinstance(linear, torch.nn.Linear)
        setattr(parent, child_name, PackedLinear(linear, rows * _TUNED_IMAGES))
    # The other weights are views of the checkpoint's file, which they would keep mapped.
    for weight in (*model.parameters(), *model.buffers()):
        weight.data = weight.data.clone()


def _count_rows(model: torch.nn.Module, one: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Vectors of one image, for each linear layer that the pass goes through, by its name."""
    rows_of: dict[str, int] = {}

    def note(name: str, _layer: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        rows_of[name] = max(1, math.prod(arguments[0].shape[:-1]))

    hooks = [
        layer.register_forward_pre_hook(functools.partial(note, name))
        for name, layer in model.named_modules()
        if _is_linear(layer)
    ]
    try:
        model(**one)
    finally:
        for hook in hooks:
            hook.remove()
    return rows_of


def _is_linear(module: torch.nn.Module) -> bool:
    """Whether it is a plain `nn.Linear`, large enough; a subclass may do other things."""
    if type(module) is not torch.nn.Linear or module.weight.dtype != torch.float32:
        return False
    return module.weight.numel() >= _WORTH_WEIGHTS
