"""The geometry of a model's processor, kept beside the model's other facts for later starts.

Reading it from the processor takes transformers, whose import takes seconds; what was read and
checked once holds for the same files and the same versions of the libraries.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from PIL import Image

from imgcls_beam.library_versions import find_versions
from imgcls_beam.models.keeping import find_kept, keep
from imgcls_beam.preparing import geometry, sizes
from imgcls_beam.preparing.geometry import Geometry
from imgcls_beam.scoring import ChannelAffine, ModelSource

_KIND = "geometry"
_FORM = 1
"""Of the facts; another number makes all of them anew."""

_CLASSES: dict[str, type[Any]] = {
    each.__name__: each
    for each in (
        *(Geometry, geometry.Resize, geometry.CenterCrop, geometry.CenterShare),
        *(geometry.PadAround, geometry.TurnLong, geometry.Keep),
        *(sizes.Warp, sizes.ShortestEdge, sizes.BothEdges, sizes.Within, sizes.Thumbnail),
        *(sizes.KeepRatio, ChannelAffine, Image.Resampling),
    )
}
_RULES: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (sizes.centre_down, sizes.centre_even)
}
_IS = "is"


@dataclasses.dataclass(frozen=True, slots=True)
class KnownGeometry:
    """What was read of a processor.

    Attributes:
        processor_name: its class.
        geometry: its steps on uint8.
        affine: the arithmetic that follows; None where there is none.
    """

    processor_name: str
    geometry: Geometry
    affine: ChannelAffine | None


def find_geometry(source: ModelSource) -> KnownGeometry | None:
    """What was read of the model's processor before; None where nothing was."""
    kept = find_kept(_KIND, _make_key(source))
    if kept is None:
        return None
    facts = kept.facts
    return KnownGeometry(facts["processor"], *map(decode, (facts["geometry"], facts["affine"])))


def keep_geometry(source: ModelSource, known: KnownGeometry) -> None:
    """Keeps what was read, if it can be written and comes back as it was."""
    pair = (known.geometry, known.affine)
    written = [encode(each) for each in pair]
    if tuple(map(decode, written)) == pair:
        facts = {"processor": known.processor_name, "geometry": written[0], "affine": written[1]}
        keep(_KIND, _make_key(source), facts)


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


def _make_key(source: ModelSource) -> dict[str, Any]:
    return {"form": _FORM, "model": [source.key, source.revision], "versions": find_versions()}
