"""A geometry as JSON values, and back: what is kept of a model, and handed to other processes."""

import dataclasses
from collections.abc import Callable
from typing import Any

from PIL import Image

from imgcls_beam.preparing import geometry, sizes
from imgcls_beam.scoring import ChannelAffine

_CLASSES: dict[str, type[Any]] = {
    each.__name__: each
    for each in (
        *(geometry.Geometry, geometry.Resize, geometry.CenterCrop, geometry.CenterShare),
        *(geometry.PadAround, geometry.TurnLong, geometry.Keep),
        *(sizes.Warp, sizes.ShortestEdge, sizes.BothEdges, sizes.Within, sizes.Thumbnail),
        *(sizes.KeepRatio, ChannelAffine, Image.Resampling),
    )
}
_RULES: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (sizes.centre_down, sizes.centre_even)
}
_IS = "is"


def encode(value: object) -> Any:  # noqa: ANN401  JSON
    """A geometry, or a part of one, as JSON values: objects by the names of their classes."""
    if isinstance(value, Image.Resampling):
        return {_IS: "Resampling", "value": int(value)}
    if dataclasses.is_dataclass(value):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return {_IS: type(value).__name__, **{name: encode(each) for name, each in fields.items()}}
    if isinstance(value, tuple):
        return [encode(each) for each in value]
    if callable(value):
        return {_IS: getattr(value, "__name__", "")}
    return value


def decode(value: Any) -> Any:  # noqa: ANN401  JSON
    """What `encode` gave; None where a class of it is not known here."""
    if isinstance(value, list):
        return tuple(map(decode, value))
    if not isinstance(value, dict):
        return value
    name = value[_IS]
    if name in _RULES:
        return _RULES[name]
    fields = {field: decode(each) for field, each in value.items() if field != _IS}
    return _CLASSES[name](**fields) if name in _CLASSES else None
