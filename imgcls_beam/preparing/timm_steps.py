"""timm's image processor → what it does, as `Geometry` and `ChannelAffine`.

`transformers` makes timm's own transforms of the `pretrained_cfg` of a model, for images as they
are in training: a `test_input_size` beside `input_size` is not asked for, here neither. What is
read are those transforms, so that all of timm's rules are timm's.
"""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from imgcls_beam.preparing.geometry import Geometry, Resize
from imgcls_beam.preparing.sizes import KeepRatio, ShortestEdge, Size, SizeRule, Warp, centre_even
from imgcls_beam.scoring import ChannelAffine

_FILTERS = {each.name.lower(): each for each in Image.Resampling}
_RANDOM = ("random_scale_prob", "random_aspect_prob")
_CROPS = ("CenterCrop", "CenterCropOrPad")
_TENSORS = ("ToTensor", "MaybeToTensor")


def is_timm(processor: Any) -> bool:  # noqa: ANN401  transformers' own class
    """Whether it is `transformers`' processor around timm's transforms."""
    return type(processor).__name__ == "TimmWrapperImageProcessor"


def read_timm(processor: Any) -> tuple[Geometry, ChannelAffine] | None:  # noqa: ANN401
    """The steps of a processor of timm on uint8 pixels, and the arithmetic after them.

    Returns:
        None where it has others than resize, centre crop, scale to 0…1 and normalise.

    Raises:
        ValueError: a setting makes no sense; TypeError and AttributeError likewise.
    """
    transforms = list(processor.val_transforms.transforms)
    names = [type(each).__name__ for each in transforms]
    if len(names) != 4 or names[1] not in _CROPS or names[2] not in _TENSORS:
        return None
    resize, crop, _, normalize = transforms
    step, affine = _read_resize(resize, crop), _read_affine(normalize)
    return None if step is None or affine is None else (Geometry((step,)), affine)


def _read_resize(resize: Any, crop: Any) -> Resize | None:  # noqa: ANN401
    rule, size = _read_rule(resize), _pair(crop.size)
    resample = _FILTERS.get(str(getattr(resize.interpolation, "value", None)))
    fill = getattr(crop, "fill", 0)
    if rule is None or resample is None or getattr(crop, "padding_mode", "constant") != "constant":
        return None
    red, green, blue = (fill,) * 3 if isinstance(fill, int) else fill
    return Resize(rule, resample, size, centre=centre_even, fill=(red, green, blue))


def _read_rule(resize: Any) -> SizeRule | None:  # noqa: ANN401
    kind = type(resize).__name__
    if kind == "ResizeKeepRatio" and not any(getattr(resize, name, 0) for name in _RANDOM):
        return KeepRatio(_pair(resize.size), float(resize.longest))
    if kind != "Resize" or resize.max_size is not None:
        return None
    if isinstance(resize.size, int):
        return ShortestEdge(resize.size)
    return ShortestEdge(resize.size[0]) if len(resize.size) == 1 else Warp(_pair(resize.size))


def _read_affine(normalize: Any) -> ChannelAffine | None:  # noqa: ANN401
    if (
        type(normalize).__name__ != "Normalize"
        or not len(normalize.mean) == len(normalize.std) == 3
    ):
        return None
    pairs = list(zip(map(float, normalize.mean), map(float, normalize.std), strict=True))
    red, green, blue = ((1 / 255 / std, -mean / std) for mean, std in pairs)
    return ChannelAffine((red[0], green[0], blue[0]), (red[1], green[1], blue[1]))


def _pair(size: int | Sequence[int]) -> Size:
    height_px, width_px = (size, size) if isinstance(size, int) else size
    return int(height_px), int(width_px)
