"""A limit to what the library builds of a config. Heavy: imports torch.

A config of a million layers is a few bytes, and builds until memory is used up. Nothing is kept of
a weight before it is read from its file, so a layer is counted when it is made, and the first one
too many ends it.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.modules import module as torch_module

_MAX_PARTS = 20_000
"""Weights, tables and layers; the largest models for images have some 5,000."""
_SPARE_WEIGHTS = 16 << 20
"""A checkpoint may lack what no prediction reads."""


class OversizeError(ValueError):
    """A model is larger than its files can be; the message goes after the model's name."""


class _Count:
    """What one thread builds meanwhile."""

    def __init__(self, weights_bytes: int) -> None:
        self._thread = threading.get_ident()
        self._max_weights = 2 * weights_bytes + _SPARE_WEIGHTS
        self._parts = self._weights = 0

    def add(self, _module: object, name: str, part: Any) -> None:  # noqa: ANN401
        """Counts a weight, a table or a layer, as torch tells of it."""
        if threading.get_ident() != self._thread:
            return
        self._parts += 1
        self._weights += part.numel() if isinstance(part, torch.Tensor) else 0
        if self._parts > _MAX_PARTS:
            raise OversizeError(f"its config.json makes more than {_MAX_PARTS:,} parts of a model")
        if self._weights > self._max_weights:
            problem = f"its config.json makes a model of more than {self._max_weights:,} weights"
            raise OversizeError(f"{problem} (at {name}), which its files cannot hold")


@contextlib.contextmanager
def bounded_building(weights_bytes: int) -> Iterator[None]:
    """Ends what this thread builds meanwhile where that is too large.

    Args:
        weights_bytes: of the files of the model; a weight is a byte or more.

    Raises:
        OversizeError: it is.
    """
    count = _Count(weights_bytes)
    handles = [
        torch_module.register_module_parameter_registration_hook(count.add),
        torch_module.register_module_buffer_registration_hook(count.add),
        torch_module.register_module_module_registration_hook(count.add),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
