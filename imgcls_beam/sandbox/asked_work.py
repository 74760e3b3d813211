"""What a decode child is asked to do with an image, and how that is written."""

import dataclasses
import functools
import json
from collections.abc import Sequence
from typing import Any

from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.geometry import Geometry
from imgcls_beam.preparing.geometry_values import decode, encode


@dataclasses.dataclass(frozen=True, slots=True)
class AskedWork:
    """What is wanted of an image.

    Attributes:
        max_pixels: see `DecodeOptions`.
        max_scans: likewise.
        geometries: each of which gives pixels.
        targets: of the image, where it may be reduced: their resizes come first of all.
        wants_image: whether the upright image itself is wanted, too.
        max_seconds: see `DecodeOptions`.
    """

    max_pixels: int
    max_scans: int
    geometries: tuple[Geometry, ...]
    targets: tuple[Geometry, ...]
    wants_image: bool
    max_seconds: int

    @property
    def options(self) -> DecodeOptions:
        """The limits, for who decodes."""
        return DecodeOptions(self.max_pixels, self.max_scans)


@functools.lru_cache(maxsize=64)
def plan_work(geometries: Sequence[Geometry | None], options: DecodeOptions) -> AskedWork:
    """What is to be done for models of these geometries; None stands for a processor.

    A processor of transformers, and the fast resize of torch, are not in a child: they get the
    image. So does a geometry that cannot be written down.
    """
    is_fast = options.preprocess == "fast"
    written = [each for each in dict.fromkeys(geometries) if each is not None and _is_written(each)]
    is_all = len(written) == len(dict.fromkeys(geometries))
    return AskedWork(
        max_pixels=options.max_pixels,
        max_scans=options.max_scans,
        geometries=() if is_fast else tuple(written),
        targets=tuple(written) if is_fast and is_all else (),
        wants_image=is_fast or not is_all,
        max_seconds=options.max_seconds,
    )


def _is_written(geometry: Geometry) -> bool:
    return bool(decode(encode(geometry)) == geometry)


@functools.lru_cache(maxsize=64)
def write_work(work: AskedWork) -> str:
    """The work as a text, which `read_work` reads."""
    fields = {each.name: getattr(work, each.name) for each in dataclasses.fields(work)}
    return json.dumps({name: encode(value) for name, value in fields.items()})


@functools.lru_cache(maxsize=64)
def read_work(text: str) -> AskedWork:
    """What `write_work` wrote."""
    fields: dict[str, Any] = json.loads(text)
    return AskedWork(**{name: decode(value) for name, value in fields.items()})
