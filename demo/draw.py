"""Draws labelled pictures of shapes and patterns, the same ones for the same seed.

Every label is a field of signed distances: negative inside the figure, positive outside, in units
of the picture's short side. One renderer turns any such field into a picture, so that a label is
told by its figure alone and never by a colour, a place, a size or a tone of noise.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

Field = npt.NDArray[np.float32]
Figure = Callable[[Field, Field, np.random.Generator], Field]

SHORT_SIDE_PX = (96, 224)
ASPECT_RATIO_MAX = 1.75
CONTRAST_MIN = 0.25
NOISE_MAX = 0.06
# Angles in radians, in single precision so that every field stays float32.
FULL_TURN = np.float32(2 * np.pi)
FIFTH = FULL_TURN / np.float32(5)
# How the eye weighs red, green and blue (ITU-R BT.601, as Pillow's greyscale does).
LUMINANCE_WEIGHTS = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def _uniform(rng: np.random.Generator, low: float, high: float) -> np.float32:
    return np.float32(rng.uniform(low, high))


def _periodic(along: Field, period_ratio: np.float32) -> Field:
    """Distance from the middle of the nearest period, 0 to half a period."""
    return np.abs(np.mod(along, period_ratio) - period_ratio / 2)


def _circle(x: Field, y: Field, rng: np.random.Generator) -> Field:
    return np.hypot(x, y) - _uniform(rng, 0.18, 0.36)


def _square(x: Field, y: Field, rng: np.random.Generator) -> Field:
    return np.maximum(np.abs(x), np.abs(y)) - _uniform(rng, 0.17, 0.31)


def _triangle(x: Field, y: Field, rng: np.random.Generator) -> Field:
    angles = np.arange(3) * (2 * np.pi / 3)
    sides = [x * np.float32(np.cos(a)) + y * np.float32(np.sin(a)) for a in angles]
    return np.maximum(np.maximum(sides[0], sides[1]), sides[2]) - _uniform(rng, 0.12, 0.21)


def _star(x: Field, y: Field, rng: np.random.Generator) -> Field:
    tip = _uniform(rng, 0.28, 0.43)
    notch = tip * _uniform(rng, 0.38, 0.5)
    # Fold the five points onto one half of one: a notch lies at angle 0, a tip at 36 degrees.
    angle = np.abs(np.mod(np.arctan2(y, x), FIFTH) - FIFTH / 2)
    radius = np.hypot(x, y)
    run = tip * np.float32(np.cos(np.pi / 5)) - notch
    rise = tip * np.float32(np.sin(np.pi / 5))
    across, up = radius * np.cos(angle) - notch, radius * np.sin(angle)
    beside: Field = (across * rise - up * run) / np.hypot(run, rise)
    return beside


def _ring(x: Field, y: Field, rng: np.random.Generator) -> Field:
    radius = _uniform(rng, 0.22, 0.36)
    return np.abs(np.hypot(x, y) - radius) - radius * _uniform(rng, 0.14, 0.26)


def _cross(x: Field, y: Field, rng: np.random.Generator) -> Field:
    reach = _uniform(rng, 0.24, 0.4)
    half_width = reach * _uniform(rng, 0.2, 0.36)
    upright = np.maximum(np.abs(x) - half_width, np.abs(y) - reach)
    level = np.maximum(np.abs(y) - half_width, np.abs(x) - reach)
    return np.minimum(upright, level)


def _stripes(x: Field, y: Field, rng: np.random.Generator) -> Field:
    period_ratio = _uniform(rng, 0.16, 0.36)
    return _periodic(x, period_ratio) - period_ratio * _uniform(rng, 0.19, 0.31)


def _checkerboard(x: Field, y: Field, rng: np.random.Generator) -> Field:
    period_ratio = _uniform(rng, 0.26, 0.56)
    column = _periodic(x, period_ratio) - period_ratio / 4
    row = _periodic(y, period_ratio) - period_ratio / 4
    # Inside exactly one of the two: the "exclusive or" of two fields.
    both_or_neither: Field = np.maximum(np.minimum(column, row), -np.maximum(column, row))
    return both_or_neither


def _dots(x: Field, y: Field, rng: np.random.Generator) -> Field:
    period_ratio = _uniform(rng, 0.2, 0.36)
    to_centre = np.hypot(_periodic(x, period_ratio), _periodic(y, period_ratio))
    return to_centre - period_ratio * _uniform(rng, 0.24, 0.36)


def _waves(x: Field, y: Field, rng: np.random.Generator) -> Field:
    wavelength_ratio = _uniform(rng, 0.4, 0.7)
    swing_ratio = wavelength_ratio * _uniform(rng, 0.16, 0.26)
    bent = x + swing_ratio * np.sin(y * (FULL_TURN / wavelength_ratio))
    return _stripes(bent, y, rng)


FIGURES: dict[str, Figure] = {
    "checkerboard": _checkerboard,
    "circle": _circle,
    "cross": _cross,
    "dots": _dots,
    "ring": _ring,
    "square": _square,
    "star": _star,
    "stripes": _stripes,
    "triangle": _triangle,
    "waves": _waves,
}
LABELS: tuple[str, ...] = tuple(FIGURES)


def _axes(size_px: tuple[int, int], rng: np.random.Generator) -> tuple[Field, Field]:
    """Turned and shifted coordinates, each float32 (height, width), in short sides."""
    width_px, height_px = size_px
    short_px = min(size_px)
    columns = (np.arange(width_px, dtype=np.float32) - width_px / 2) / short_px
    rows = (np.arange(height_px, dtype=np.float32) - height_px / 2) / short_px
    x, y = np.meshgrid(columns - _uniform(rng, -0.1, 0.1), rows - _uniform(rng, -0.1, 0.1))
    turn = _uniform(rng, 0, float(FULL_TURN))
    cosine, sine = np.cos(turn), np.sin(turn)
    return x * cosine + y * sine, y * cosine - x * sine


def _luminance(colour: Field) -> float:
    return float(colour @ LUMINANCE_WEIGHTS)


def _colours(rng: np.random.Generator) -> tuple[Field, Field]:
    """Two RGB colours, each float32 (3,) in 0..1, that differ even when turned to greys."""
    while True:
        ink, ground = rng.random((2, 3), dtype=np.float32)
        if abs(_luminance(ink) - _luminance(ground)) >= CONTRAST_MIN:
            return ink, ground


def _shading(size_px: tuple[int, int], rng: np.random.Generator) -> Field:
    """A faint slope of light over the picture, float32 (height, width, 1)."""
    width_px, height_px = size_px
    down, right = _uniform(rng, -0.08, 0.08), _uniform(rng, -0.08, 0.08)
    rows = np.linspace(-1, 1, height_px, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width_px, dtype=np.float32)[None, :]
    light: Field = rows * down + columns * right
    return light[:, :, None]


def draw_picture(
    label: str, rng: np.random.Generator, size_px: int | tuple[int, int]
) -> Image.Image:
    """Draw one picture of a label.

    Args:
        label: one of `LABELS`; any other raises KeyError.
        rng: every choice is drawn from it: colours, place, turn, scale, light and noise.
        size_px: (width, height) in pixels, or one number for a square picture.

    Returns:
        An RGB picture of exactly that size.
    """
    size_px = (size_px, size_px) if isinstance(size_px, int) else size_px
    distance_px = FIGURES[label](*_axes(size_px, rng), rng) * min(size_px)
    coverage = np.clip(0.5 - distance_px, 0, 1).astype(np.float32)[:, :, None]
    ink, ground = _colours(rng)
    pixels = ground + coverage * (ink - ground) + _shading(size_px, rng)
    noise = rng.standard_normal(pixels.shape, dtype=np.float32)
    pixels = pixels + noise * _uniform(rng, 0, NOISE_MAX)
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8))


def draw_size_px(rng: np.random.Generator) -> tuple[int, int]:
    """A (width, height) in pixels: upright, level or square, short side in `SHORT_SIDE_PX`."""
    short_px = int(rng.integers(*SHORT_SIDE_PX, endpoint=True))
    long_px = round(short_px * _uniform(rng, 1, ASPECT_RATIO_MAX))
    return (short_px, long_px) if rng.random() < 0.5 else (long_px, short_px)


def draw_numbered(seed: int, number: int) -> tuple[int, Image.Image]:
    """Draw the picture of one number in the endless, evenly labelled series of a seed.

    Args:
        seed: names the series, 0 or more.
        number: place in the series, 0 or more; each is drawn by itself, in any order.

    Returns:
        The index of its label in `LABELS`, and an RGB picture of mixed size.
    """
    rng = np.random.default_rng([seed, number])
    index = number % len(LABELS)
    return index, draw_picture(LABELS[index], rng, draw_size_px(rng))
