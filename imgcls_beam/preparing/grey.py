"""Grey of more than 8 bits → 8 bits, which Pillow's own conversion clips to white.

First the white point, the value that becomes white:

1. What the file says: the significant bits of a PNG, the maximum of a PGM, the precision of a JPEG
   2000, BitsPerSample, SMaxSampleValue and MaxSampleValue of a TIFF. It is believed if no value
   exceeds it. That a file has room for 16 bits says nothing: cameras, X-ray machines and programs
   put fewer into it.
2. Else the highest value of the smallest of 8, 10, 12, 14 and 16 bits that holds all values; above
   that, of the fewest bits. A signed number has one bit less than its size.
3. Of floating point: 1, if all values are below 2, since resampling overshoots; else as above; and
   above 16 bits the highest value of all.

Then the level of 8 bits. White of n bits keeps the upper 8 of its bits, as Pillow does for colour
of 16 bits; so a value of 8 bits stays as it is. Of any other white w: v × 255 / w, rounded. What is
below 0, or not a number, is black; what is above the white point, white. Where 0 is white, the
level is turned round.

So an image of 16 bits that is truly dark, and does not say so, is brightened: its values are not to
be told from those of fewer bits in a file of 16. Up to 255 the reference takes them as 8 bits, too.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from imgcls_beam.preparing.inspecting import NOTHING_SAID, Samples

_STEPS = (8, 10, 12, 14, 16)
_MAX_16_BITS = 65_535
_BELOW_FLOAT_WHITE = 2
_CHUNK_VALUES = 1 << 20

_Numbers = npt.NDArray[Any]


def is_deep_grey(mode: str, samples: Samples = NOTHING_SAID) -> bool:
    """Whether an image of this mode of Pillow's is grey that Pillow does not convert rightly."""
    if mode == "L":
        return samples.is_white_zero or samples.kind == "signed"
    return mode in ("I", "F") or mode.startswith("I;16") or (mode == "RGBA" and samples.is_split)


def scale_grey(image: Image.Image, samples: Samples) -> Image.Image:
    """Grey of any number of bits as mode L; see above."""
    values = _read_values(image, samples)
    is_white_zero = samples.is_white_zero
    if is_white_zero and values.dtype == np.uint16:
        turned = _MAX_16_BITS - values
        if _count_bits(turned.max(initial=0)) < _count_bits(values.max(initial=0)):
            # Few bits, turned round in 16: the same picture as with 0 for black.
            values, is_white_zero = turned, False
    levels = _scale(values, _find_white(values, samples))
    return Image.fromarray(255 - levels if is_white_zero else levels)


def _read_values(image: Image.Image, samples: Samples) -> _Numbers:
    """The numbers of the file, of the kind that they have there."""
    if samples.is_split:
        return _join_halves(image)
    values: _Numbers = np.asarray(image)
    if samples.kind == "signed" and values.dtype == np.uint8:
        return values.view(np.int8)
    if samples.kind == "unsigned" and samples.bits == 32 and values.dtype == np.int32:
        return values.view(np.uint32)
    if samples.stretched_from:
        values = np.rint(values * (samples.stretched_from / _MAX_16_BITS)).astype(np.uint16)
    is_swapped = values.dtype.kind == "u" and not values.dtype.isnative
    return values.astype(np.uint16) if is_swapped else values


def _join_halves(image: Image.Image) -> _Numbers:
    """Upper and lower 8 bits as numbers of 16; in parts, for numpy copies what it looks at."""
    joined = np.empty((image.height, image.width), np.uint16)
    step = max(1, _CHUNK_VALUES // image.width)
    for top in range(0, image.height, step):
        rows = joined[top : top + step]
        part = np.asarray(image.crop((0, top, image.width, top + len(rows))))
        rows[:] = part[:, :, 0]
        rows <<= 8
        rows |= part[:, :, 1]
    return joined


def _find_white(values: _Numbers, samples: Samples) -> float:
    """The value that becomes white."""
    is_float = values.dtype.kind == "f"
    finite = np.isfinite(values) if is_float else True
    highest = float(np.max(values, where=finite, initial=0))
    declared = next((white for white in samples.whites if highest <= white), None)
    if declared is not None:
        return float(declared)
    if is_float and highest < _BELOW_FLOAT_WHITE:
        return 1.0
    if is_float and highest > _MAX_16_BITS:
        return highest
    bits = _count_bits(highest)
    most = samples.bits - 1 if samples.kind == "signed" and samples.bits else bits
    return float((1 << min(bits, most)) - 1)


def _count_bits(highest: float) -> int:
    """Of the numbers up to a value: one of the usual counts, or the fewest above them."""
    bits = int(np.ceil(highest)).bit_length()
    return next((step for step in _STEPS if bits <= step), bits)


def _scale(values: _Numbers, white: float) -> npt.NDArray[np.uint8]:
    if values.dtype == np.uint16 and values.size > _MAX_16_BITS:
        return _scale(np.arange(_MAX_16_BITS + 1), white)[values]
    levels = np.empty(values.shape, np.uint8)
    is_whole_bits = white >= 255 and white.is_integer() and (int(white) + 1).bit_count() == 1
    factor = 256 / (white + 1) if is_whole_bits else 255 / white
    # In parts: as float64 the whole would take eight times the result.
    source, target = values.reshape(-1), levels.reshape(-1)
    for start in range(0, source.size, _CHUNK_VALUES):
        part = source[start : start + _CHUNK_VALUES].astype(np.float64)
        part = np.clip(np.nan_to_num(part, nan=0.0, posinf=white), 0.0, white) * factor
        target[start : start + len(part)] = part if is_whole_bits else np.rint(part)
    return levels
