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
        wants_image: whether the upright image itself is wanted, too.
        is_fast: see `DecodeOptions.preprocess`. What is wanted itself is not reduced.
        max_seconds: see `DecodeOptions`.
        preview_px: of a small picture for people, the longer edge, in place of all geometries; 0
            for none.
    """

    max_pixels: int
    max_scans: int
    geometries: tuple[Geometry, ...]
    wants_image: bool
    is_fast: bool
    max_seconds: int
    preview_px: int = 0

    @property
    def options(self) -> DecodeOptions:
        """The limits, for who decodes."""
        return _make_limits(self.max_pixels, self.max_scans)


@functools.lru_cache(maxsize=64)
def _make_limits(max_pixels: int, max_scans: int) -> DecodeOptions:
    return DecodeOptions(max_pixels, max_scans)


@functools.lru_cache(maxsize=64)
def plan_work(geometries: Sequence[Geometry | None], options: DecodeOptions) -> AskedWork:
    """What is to be done for models of these geometries; None stands for a processor.

    A processor of transformers is not in a child: it gets the image. So does a geometry that cannot
    be written down.
    """
    written = [each for each in dict.fromkeys(geometries) if each is not None and _is_written(each)]
    is_all = len(written) == len(dict.fromkeys(geometries))
    return AskedWork(
        max_pixels=options.max_pixels,
        max_scans=options.max_scans,
        geometries=tuple(written),
        wants_image=not is_all,
        is_fast=options.preprocess == "fast",
        max_seconds=options.max_seconds,
    )


def plan_preview(edge_px: int, options: DecodeOptions) -> AskedWork:
    """What is to be done for a small picture."""
    return dataclasses.replace(plan_work((), options), preview_px=edge_px)


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
