"""Pictures that a model is asked about before its first image.

A fast way to run a model may be right for noise and wrong for what people have: sums over a picture
without contrast, or a dark one, lose digits that those over noise keep. BiT in channels-last is
4e-2 of a logit off on a plain blue sheet, 3e-4 on noise, and 5e-5 on both in the usual layout.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from imgcls_beam.elements import ModelInputs
from imgcls_beam.preparing.processors import Preparer

_Picture = npt.NDArray[np.float64]

_SIZE_PX = (64, 64)
"""Height and width where the model's config names none."""

_DARK_LEVELS = 6.0
"""Of 255: what an underexposed photograph holds."""


def draw_probes(preparer: Preparer, size_px: tuple[int, int] | None) -> list[ModelInputs]:
    """Inputs of five pictures: a plain sheet, a graphic, a photograph, a dark one, and noise.

    They are the same each time.

    Args:
        preparer: of the model.
        size_px: (height, width) that the model's config names: not every processor resizes.

    Raises:
        ImageError: the model's processor takes no picture of this size.
    """
    drawn = (draw(size_px or _SIZE_PX) for draw in _PICTURES)
    levels = (np.clip(np.rint(each), 0, 255).astype(np.uint8) for each in drawn)
    return [preparer.prepare(Image.fromarray(each)) for each in levels]


def draw_known(preparer: Preparer, size_px: tuple[int, int] | None) -> list[ModelInputs]:
    """Inputs of two pictures, a blank one and a photograph, by which a model is known again.

    Args:
        preparer: of the model.
        size_px: as `draw_probes` takes it.

    Raises:
        ImageError: as `draw_probes` does.
    """
    size = size_px or _SIZE_PX
    drawn = (np.full((*size, 3), 127.0), _draw_photo(size))
    levels = (np.clip(np.rint(each), 0, 255).astype(np.uint8) for each in drawn)
    return [preparer.prepare(Image.fromarray(each)) for each in levels]


def _draw_sheet(size: tuple[int, int]) -> _Picture:
    return np.full((*size, 3), (40.0, 90.0, 150.0))


def _draw_graphic(size: tuple[int, int]) -> _Picture:
    """Paper with a dark corner, as a scan or a logo."""
    picture = np.full((*size, 3), (236.0, 231.0, 219.0))
    picture[: size[0] // 4, : size[1] // 4] = (40.0, 44.0, 92.0)
    return picture


def _draw_dark(size: tuple[int, int]) -> _Picture:
    return _draw_photo(size) * (_DARK_LEVELS / 255)


def _draw_photo(size: tuple[int, int]) -> _Picture:
    """Smooth colours, an edge, and the grain of a sensor."""
    down, across = np.meshgrid(*(np.linspace(0, 1, each) for each in size), indexing="ij")
    sky = 90 + 110 * np.stack([across * down, 1 - down, 0.4 + 0.6 * np.sin(5 * across)], axis=-1)
    sky[(across - 0.6) ** 2 + (down - 0.55) ** 2 < 0.05] = (196.0, 88.0, 40.0)
    return sky + np.random.default_rng(1).normal(0, 3, sky.shape)


def _draw_noise(size: tuple[int, int]) -> _Picture:
    return np.random.default_rng(2).uniform(0, 255, (*size, 3))


_PICTURES: tuple[Callable[[tuple[int, int]], _Picture], ...] = (
    *(_draw_sheet, _draw_graphic, _draw_photo, _draw_dark, _draw_noise),
)
