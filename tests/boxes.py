"""Preparers for tests of the decode box, and what they make of one image, with and without it."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from PIL import Image

from imgcls_beam.elements import EncodedImage, Failure, ImageRef, PixelArray, Pixels
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing import prepare_for_models
from imgcls_beam.preparing.geometry import CenterCrop, Geometry, Keep, Resize
from imgcls_beam.preparing.sizes import Extent, ShortestEdge, Size, Warp
from imgcls_beam.sandbox import prepare_in_box

SMALL = Geometry((Resize(Warp((9, 7)), Image.Resampling.BILINEAR),))
CROPPED = Geometry(
    (Resize(ShortestEdge(32), Image.Resampling.BICUBIC), CenterCrop((24, 40))), is_bgr=True
)
WHOLE = Geometry((Keep(),))


@dataclasses.dataclass(frozen=True)
class PlainPreparer:
    """A model's preparer; without a geometry it stands for a processor that takes all pixels."""

    geometry: Geometry | None

    @property
    def identity(self) -> Hashable:
        return self.geometry

    def prepare(self, image: Image.Image) -> Mapping[str, Pixels]:
        if self.geometry is None:
            return {"pixel_values": np.asarray(image) * np.float32(0.5)}
        return {"pixel_values": self.geometry.apply(image)}

    def prepare_fast(self, image: Image.Image, extent: Extent) -> Mapping[str, Pixels]:
        if self.geometry is None:
            return self.prepare(image)
        return {"pixel_values": self.geometry.apply_fast(image, extent)}

    def find_target(self, full: Size) -> Size | None:
        return None if self.geometry is None else self.geometry.find_target(full)


def prepare_both_ways(
    data: bytes, geometries: Sequence[Geometry | None], options: DecodeOptions
) -> tuple[list[object], list[object]]:
    """What can be compared of an image's results: in the box, and in this process."""
    encoded = EncodedImage(ImageRef("a"), data, tries=3)
    preparers = list(map(PlainPreparer, geometries))
    boxed = prepare_in_box(encoded, preparers, options)  # type: ignore[arg-type]
    plain = prepare_for_models(encoded, preparers, options)  # type: ignore[arg-type]
    return [list(map(_describe, each)) for each in (boxed, plain)]  # type: ignore[return-value]


def _describe(result: PixelArray | Failure) -> object:
    if isinstance(result, Failure):
        return str(result.code), result.message, result.retryable, result.tries, result.facts
    (pixels,) = result.inputs.values()
    return result.facts, pixels.dtype, pixels.shape, pixels.tobytes()
