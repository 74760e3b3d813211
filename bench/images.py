"""Pictures to measure with: of the sizes and the weight of photographs, the same for each seed.

They come in blocks in which each size has its share, so that any whole number of blocks from the
start is a fair sample of all.
"""

import pathlib

import numpy as np
from PIL import Image, ImageDraw

_BLOCK = 20

_KINDS = (
    *((500, 375, "jpg"),) * 11,
    *((500, 375, "png"),) * 2,
    *((375, 500, "jpg"),) * 2,
    (300, 200, "jpg"),
    (640, 480, "jpg"),
    (800, 600, "jpg"),
    (1024, 768, "jpg"),
    (1600, 1200, "jpg"),
)
"""Width and height in pixels, and suffix, of each picture of a block."""
_QUALITY = 90
_GRAIN = 9.0
"""Standard deviation of the sensor noise, in grey levels: 500 × 375 becomes about 100 kB."""
_OCTAVES = ((4, 70.0), (16, 25.0), (64, 10.0))
"""Cells along the long edge, and amplitude in grey levels, of the noise that is drawn smooth."""
_SHAPES = 12
_LARGE_PX = (4000, 3000)
_TURNS = (
    *(None, Image.Transpose.FLIP_LEFT_RIGHT),
    *(Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.ROTATE_180),
)


def make_images(folder: pathlib.Path, count: int, seed: int = 0) -> list[pathlib.Path]:
    """Draws pictures into a new folder; returns their paths in the order of their names."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    order = [_KINDS[kind] for _ in range(0, count, _BLOCK) for kind in rng.permutation(_BLOCK)]
    paths = []
    for index, (width_px, height_px, suffix) in enumerate(order[:count]):
        path = folder / f"{index:06d}.{suffix}"
        _draw((width_px, height_px), rng).save(path, quality=_QUALITY)
        paths.append(path)
    return paths


def make_large_images(folder: pathlib.Path, count: int, seed: int = 0) -> list[pathlib.Path]:
    """Draws JPEGs of 12 megapixels into a new folder, as a camera writes them: 4 MB or so.

    Each drawing is four pictures: drawing takes longer than turning, and no two files are equal.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    paths = []
    for index in range(count):
        if index % len(_TURNS) == 0:
            drawn = _draw(_LARGE_PX, rng)
        turn = _TURNS[index % len(_TURNS)]
        path = folder / f"{index:06d}.jpg"
        (drawn if turn is None else drawn.transpose(turn)).save(path, quality=_QUALITY)
        paths.append(path)
    return paths


def _draw(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Light and colour that change slowly, edges over them, and grain over all."""
    levels = np.full((size[1], size[0], 3), rng.uniform(60, 190, 3), np.float32)
    for cells, amplitude in _OCTAVES:
        levels += amplitude * _draw_smooth(size, cells, rng)
    picture = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    _draw_shapes(picture, rng)
    # Grain is the same in the three channels: JPEG halves the resolution of colour.
    grain = rng.standard_normal((size[1], size[0], 1), np.float32) * _GRAIN
    return Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))


def _draw_smooth(size: tuple[int, int], cells: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of the given coarseness: float32 (H, W, 3), within about ±1."""
    scale = cells / max(size)
    shape = (max(2, round(size[1] * scale)), max(2, round(size[0] * scale)), 3)
    coarse = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
    return np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.float32) / 127.5 - 1.0


def _draw_shapes(picture: Image.Image, rng: np.random.Generator) -> None:
    canvas = ImageDraw.Draw(picture)
    span = np.array(picture.size)
    for _ in range(_SHAPES):
        corner = rng.uniform(0.0, 0.9, 2) * span
        box = (*corner, *(corner + rng.uniform(0.03, 0.35, 2) * span))
        red, green, blue = (int(level) for level in rng.integers(0, 256, 3))
        draw = canvas.ellipse if rng.random() < 0.5 else canvas.rectangle
        draw(box, fill=(red, green, blue))
