"""A processor of `transformers` → what it does, as `Geometry` and `ChannelAffine`.

A processor is known by the methods that it runs, not by its class: each takes some from
`PilBackend` and has some of its own. The tables below tell what a method does by the class in
`transformers` in which it is written. A class from elsewhere that brings methods of its own is not
read: what they do is not known.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from PIL import Image

from imgcls_beam.preparing.geometry import (
    MAX_PASSING_PIXELS,
    MAX_WHOLE_PIXELS,
    CenterCrop,
    CenterShare,
    Geometry,
    Keep,
    PadAround,
    Resize,
    Step,
    TurnLong,
)
from imgcls_beam.preparing.sizes import (
    BothEdges,
    ShortestEdge,
    Size,
    SizeRule,
    Thumbnail,
    Warp,
    Within,
)
from imgcls_beam.scoring import ChannelAffine

_COMMON = frozenset(("do_resize", "do_center_crop", "do_rescale", "do_normalize"))

_SWITCHES = {
    "PilBackend": _COMMON | {"do_pad"},
    "BeitImageProcessorPil": _COMMON,
    "ConvNextImageProcessorPil": _COMMON,
    "DonutImageProcessorPil": _COMMON | {"do_align_long_axis", "do_thumbnail", "do_pad"},
    "EfficientNetImageProcessorPil": _COMMON | {"rescale_offset", "include_top"},
    "ImageGPTImageProcessorPil": _COMMON - {"do_center_crop"} | {"do_color_quantize"},
    "MobileNetV2ImageProcessorPil": _COMMON,
    "MobileViTImageProcessorPil": _COMMON - {"do_normalize"} | {"do_flip_channel_order"},
    "PerceiverImageProcessorPil": _COMMON,
    "PoolFormerImageProcessorPil": _COMMON | {"do_pad"},
    "SegformerImageProcessorPil": _COMMON - {"do_center_crop"},
    "TextNetImageProcessorPil": _COMMON,
}
"""Which settings a `_preprocess` honours. All go resize, crop, arithmetic, but for Donut's and
Perceiver's; a processor may hold settings that it does not read."""

_OWNERS = {
    "resize": (
        "PilBackend",
        "ConvNextImageProcessorPil",
        "LevitImageProcessorPil",
        "PoolFormerImageProcessorPil",
        "TextNetImageProcessorPil",
    ),
    "center_crop": ("PilBackend", "PerceiverImageProcessorPil"),
    "rescale": ("PilBackend", "EfficientNetImageProcessorPil"),
    "normalize": ("PilBackend",),
    "process_image": ("PilBackend",),
}
"""Who wrote the methods that `_preprocess` calls, as far as they are known here."""

_CONVNEXT_WARP_PX = 384
"""From this edge on ConvNeXT's processor warps to a square and does not crop."""

_ONES = (1.0, 1.0, 1.0)


def read_geometry(processor: Any) -> Geometry | None:  # noqa: ANN401  transformers' own class
    """The steps of a processor on uint8 pixels.

    Returns:
        None where it has others than those known here, or gives more than pixels.

    Raises:
        ValueError: a setting makes no sense, e.g. a filter 9; TypeError and AttributeError
            likewise.
    """
    if not _is_known(processor) or _is_on(processor, "do_color_quantize"):
        return None
    if _owner(processor, "_preprocess") == "DonutImageProcessorPil":
        return Geometry(tuple(_list_donut_steps(processor)))
    if _is_on(processor, "do_pad") and processor.pad_size:
        return None  # what is padded after the normalising is not black
    steps = tuple(_list_steps(processor)) or (Keep(),)
    return Geometry(steps, _is_on(processor, "do_flip_channel_order"))


def read_affine(processor: Any) -> ChannelAffine:  # noqa: ANN401
    """The arithmetic after the geometry, of a processor that has a geometry.

    Raises:
        ValueError: a mean or std of other than one or three numbers; TypeError and
            ZeroDivisionError likewise.
    """
    factor = float(processor.rescale_factor) if _is_on(processor, "do_rescale") else 1.0
    offset = 1.0 if _is_on(processor, "do_rescale", "rescale_offset") else 0.0
    mean, std, top_std = (0.0, 0.0, 0.0), _ONES, _ONES
    if _is_on(processor, "do_normalize"):
        mean, std = _per_channel(processor.image_mean), _per_channel(processor.image_std)
    if _is_on(processor, "include_top"):
        top_std = _per_channel(processor.image_std)
    red, green, blue = (
        (factor / s / top, -(offset + m) / s / top)
        for m, s, top in zip(mean, std, top_std, strict=True)
    )
    return ChannelAffine((red[0], green[0], blue[0]), (red[1], green[1], blue[1]))


def _is_known(processor: Any) -> bool:  # noqa: ANN401
    return (
        _owner(processor, "_preprocess") in _SWITCHES
        and all(_owner(processor, name) in owners for name, owners in _OWNERS.items())
        and not any(map(_is_foreign, type(processor).__mro__[:-1]))
    )


def _is_foreign(kind: type) -> bool:
    """Whether a class is not of transformers', and brings methods or properties."""
    members = (each for name, each in vars(kind).items() if name not in ("__dict__", "__weakref__"))
    return not kind.__module__.startswith("transformers.") and any(
        hasattr(each, "__get__") for each in members
    )


def _owner(processor: Any, method: str) -> str:  # noqa: ANN401
    """The class in transformers in which a method of this processor is written; "" for none."""
    function = getattr(processor, method, None)
    if not getattr(function, "__module__", "").startswith("transformers."):
        return ""
    return str(getattr(function, "__qualname__", "")).partition(".")[0]


def _is_on(processor: Any, *names: str) -> bool:  # noqa: ANN401
    """Whether all these switches are honoured by the processor, and on."""
    honoured = _SWITCHES[_owner(processor, "_preprocess")]
    return all(name in honoured and bool(getattr(processor, name, None)) for name in names)


def _list_steps(processor: Any) -> Iterator[Step]:  # noqa: ANN401
    resize = _read_resize(processor) if _is_on(processor, "do_resize") else None
    crop = _pair(processor.crop_size) if _is_on(processor, "do_center_crop") else None
    if crop and _owner(processor, "center_crop") == "PerceiverImageProcessorPil":
        size = _pair(processor.size)
        yield CenterShare((size[0] / crop[0], size[1] / crop[1]))
        crop = None
    if resize and crop and resize.crop is None:
        resize, crop = dataclasses.replace(resize, crop=crop), None
    if resize:
        yield resize
    if crop:
        yield CenterCrop(crop)


def _list_donut_steps(processor: Any) -> Iterator[Step]:  # noqa: ANN401
    size, resample = _pair(processor.size), _read_filter(processor.resample)
    if _is_on(processor, "do_align_long_axis"):
        yield TurnLong(size)
    if _is_on(processor, "do_resize"):
        is_last = not _is_on(processor, "do_thumbnail")
        max_pixels = MAX_WHOLE_PIXELS if is_last else MAX_PASSING_PIXELS
        yield Resize(ShortestEdge(min(size)), resample, None, max_pixels)
    if _is_on(processor, "do_thumbnail"):
        # The filter 0, nearest, is no filter to Donut's.
        yield Resize(Thumbnail(size), resample or Image.Resampling.BICUBIC)
    if _is_on(processor, "do_pad"):
        yield PadAround(size)
    if _is_on(processor, "do_center_crop"):
        yield CenterCrop(_pair(processor.crop_size))
    yield Keep()


def _read_resize(processor: Any) -> Resize:  # noqa: ANN401
    size, resample = processor.size, _read_filter(processor.resample)
    owner, edge_px = _owner(processor, "resize"), processor.size.shortest_edge
    if owner == "ConvNextImageProcessorPil":
        if not edge_px or edge_px >= _CONVNEXT_WARP_PX:
            return Resize(Warp((edge_px, edge_px)), resample)
        rule = ShortestEdge(int(edge_px / processor.crop_pct))
        return Resize(rule, resample, (edge_px, edge_px))
    if owner == "TextNetImageProcessorPil":
        return Resize(ShortestEdge(edge_px, processor.size_divisor), resample)
    if owner == "LevitImageProcessorPil" and edge_px:
        return Resize(ShortestEdge(int((256 / 224) * edge_px)), resample)
    if owner == "PoolFormerImageProcessorPil" and processor.crop_pct is not None:
        return Resize(_read_poolformer_rule(size, processor.crop_pct), resample)
    return Resize(_read_plain_rule(size), resample)


def _read_filter(value: Any) -> Image.Resampling:  # noqa: ANN401
    """Pillow's filter. Whatever is no number is bilinear to `PilBackend`, even "bicubic"."""
    return Image.Resampling(value) if isinstance(value, int) else Image.Resampling.BILINEAR


def _read_poolformer_rule(size: Any, crop_pct: float) -> SizeRule:  # noqa: ANN401
    if size.shortest_edge:
        return ShortestEdge(int(size.shortest_edge / crop_pct))
    if size.height == size.width:
        return ShortestEdge(int(size.height / crop_pct))
    return Warp((int(size.height / crop_pct), int(size.width / crop_pct)))


def _read_plain_rule(size: Any) -> SizeRule:  # noqa: ANN401
    if size.shortest_edge and size.longest_edge:
        return BothEdges(size.shortest_edge, size.longest_edge)
    if size.shortest_edge:
        return ShortestEdge(size.shortest_edge)
    if size.max_height and size.max_width:
        return Within((size.max_height, size.max_width))
    return Warp(_pair(size))


def _pair(size: Any) -> Size:  # noqa: ANN401
    if not (size.height and size.width):
        raise ValueError("a size without height and width")
    return size.height, size.width


def _per_channel(value: Any) -> tuple[float, float, float]:  # noqa: ANN401
    red, green, blue = [value] * 3 if isinstance(value, int | float) else value
    return float(red), float(green), float(blue)
