"""The geometry of a model's processor, kept beside the model's other facts for later starts.

Reading it from the processor takes transformers, whose import takes seconds; what was read and
checked once holds for the same files and the same versions of the libraries.
"""

import dataclasses
from typing import Any

from imgcls_beam.library_versions import find_versions
from imgcls_beam.models.keeping import find_kept, keep
from imgcls_beam.preparing.geometry import Geometry
from imgcls_beam.preparing.geometry_values import decode, encode
from imgcls_beam.scoring import ChannelAffine, ModelSource

_KIND = "geometry"
_FORM = 1
"""Of the facts; another number makes all of them anew."""


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


def _make_key(source: ModelSource) -> dict[str, Any]:
    return {"form": _FORM, "model": [source.key, source.revision], "versions": find_versions()}
