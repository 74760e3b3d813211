"""Grey of more than 8 bits → 8 bits, which Pillow's own conversion clips to white.

==================  ======================================================================
mode, highest v     grey level of 8 bits for a value v; negative values and NaN are 0
==================  ======================================================================
I;16, I;16B, …      v × 255 / 65,535, rounded
I     up to 255     v as it is
I     up to 65,535  v × 255 / 65,535, rounded
I     above         v × 255 / (2³¹ − 1), rounded
F     up to 1       v × 255, rounded
F     up to 255     v as it is, its fraction cut, as Pillow does
F     up to 65,535  v × 255 / 65,535, rounded
F     above 65,535  v × 255 / the image's largest finite value, rounded
==================  ======================================================================
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

_MAX_16_BITS = 65_535
_MAX_31_BITS = (1 << 31) - 1
_LEVEL_OF_16_BITS = np.rint(np.arange(_MAX_16_BITS + 1) * (255 / _MAX_16_BITS)).astype(np.uint8)
_CHUNK_VALUES = 1 << 20


def is_deep_grey(mode: str) -> bool:
    """Whether images of this mode of Pillow's are grey of 16 or 32 bits."""
    return mode in ("I", "F") or mode.startswith("I;16")


def scale_grey(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits as mode L; see the table above."""
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray(_LEVEL_OF_16_BITS[values])
    return Image.fromarray(_scale(values, _find_white(values)))


def _scale(values: npt.NDArray[Any], white: float) -> npt.NDArray[np.uint8]:
    levels = np.empty(values.shape, np.uint8)
    # In parts: as float64 the whole would take eight times the result.
    source, target = values.reshape(-1), levels.reshape(-1)
    for start in range(0, source.size, _CHUNK_VALUES):
        part = source[start : start + _CHUNK_VALUES].astype(np.float64)
        part = np.clip(np.nan_to_num(part, nan=0.0, posinf=white), 0.0, white)
        target[start : start + len(part)] = part if white == 255 else np.rint(part * (255 / white))
    return levels


def _find_white(values: npt.NDArray[Any]) -> float:
    """The value that becomes white."""
    highest = float(np.max(values, where=np.isfinite(values), initial=0))
    is_float = values.dtype.kind == "f"
    steps = (1, 255, _MAX_16_BITS) if is_float else (255, _MAX_16_BITS, _MAX_31_BITS)
    return float(next((step for step in steps if highest <= step), highest))
