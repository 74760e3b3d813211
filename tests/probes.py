"""Pictures that tests ask a model about before its first image."""

from collections.abc import Callable

import numpy as np

from imgcls_beam.classifying import DrawProbes
from imgcls_beam.elements import ModelInputs
from imgcls_beam.models import resolve_model
from imgcls_beam.preparing import draw_probes, load_preparer


def probe(model: str) -> DrawProbes:
    """Those that the handler would show, through the model's own image processor."""
    preparer = load_preparer(resolve_model(model, None))
    return lambda size_px: draw_probes(preparer, size_px)


def probe_ready(size_px: int) -> Callable[[object], list[ModelInputs]]:
    """Noise that no processor has seen, float32 (3, H, W)."""
    rng = np.random.default_rng(3)
    pixels = rng.normal(size=(3, 3, size_px, size_px)).astype(np.float32)
    return lambda _: [{"pixel_values": each} for each in pixels]


def probe_levels(size_px: int = 32) -> Callable[[object], list[ModelInputs]]:
    """Noise as uint8 (H, W, 3), for a model that was loaded with a scale and shift."""
    rng = np.random.default_rng(4)
    levels = rng.integers(0, 256, (3, size_px, size_px, 3), dtype=np.uint8)
    return lambda _: [{"pixel_values": each} for each in levels]
