"""Prepared images → the tensors that a model's forward takes. Heavy: imports torch."""

from collections.abc import Sequence

import numpy as np
import torch

from imgcls_beam.elements import ModelInputs, Pixels
from imgcls_beam.scoring import ChannelAffine

Tensors = dict[str, torch.Tensor]
"""By the name of the argument of a model's forward."""


class Feed:
    """Stacks images and brings them to a model's device, scaled and shifted there.

    Attributes:
        device: of the model.
        is_channels_last: whether pixels that come as (N, H, W, 3) stay so in memory. Convolutions
            are up to a fifth faster; the sums of some norms lose digits, see `tuning`.
    """

    def __init__(self, device: torch.device, affine: ChannelAffine | None) -> None:
        """Takes the arithmetic between uint8 pixels and the model; None where pixels are ready."""
        self.device = device
        self.is_channels_last = False
        self._affine = None
        if affine is not None:
            pair = (affine.scale, affine.shift)
            self._affine = torch.tensor(pair, device=device).reshape(2, 1, 1, 1, 3)

    @property
    def has_layouts(self) -> bool:
        """Whether there is a layout to choose: ready pixels come as (N, 3, H, W)."""
        return self._affine is not None

    def stack(self, batch: Sequence[ModelInputs]) -> Tensors:
        """(…) each → (N, …) on the host, in memory from which a GPU copies by itself."""
        is_pinned = self.device.type == "cuda"
        return {
            name: _stack([each[name] for each in batch], is_pinned=is_pinned) for name in batch[0]
        }

    def move(self, stacked: Tensors, dtype: torch.dtype) -> Tensors:
        """Brings what `stack` gave to the device, as a model of this type takes it."""
        moved = {name: each.to(self.device, non_blocking=True) for name, each in stacked.items()}
        if self._affine is not None:  # uint8 (N, H, W, 3) → float32 (N, 3, H, W)
            pixels = moved["pixel_values"].to(torch.float32)
            pixels = pixels.mul_(self._affine[0]).add_(self._affine[1]).permute(0, 3, 1, 2)
            moved["pixel_values"] = pixels if self.is_channels_last else pixels.contiguous()
        # Masks and shapes are integers, and stay what they are.
        return {
            name: each.to(dtype) if each.is_floating_point() else each
            for name, each in moved.items()
        }


def _stack(arrays: Sequence[Pixels], *, is_pinned: bool) -> torch.Tensor:
    dtype = torch.from_numpy(np.empty(0, arrays[0].dtype)).dtype
    stacked = torch.empty((len(arrays), *arrays[0].shape), dtype=dtype, pin_memory=is_pinned)
    np.stack(arrays, out=stacked.numpy())
    return stacked
