"""A model's own image processor, as fast as its config allows.

Where a processor's steps are geometry and then one scale and shift for each channel, they become a
`Geometry` on uint8 and a `ChannelAffine` for the whole batch; this is believed only after it gave
the processor's own result on probe images. Every other processor is called for each image.
"""

import contextlib
import functools
import logging
from collections.abc import Hashable
from typing import Any, Literal, Self

import numpy as np
from PIL import Image

from imgcls_beam.elements import ModelInputs
from imgcls_beam.errors import FailureCode, ImageError, ModelError
from imgcls_beam.preparing.geometry import Geometry, refuse_long
from imgcls_beam.preparing.known_geometry import KnownGeometry, find_geometry, keep_geometry
from imgcls_beam.preparing.processor_loading import explain_processor, load_processor
from imgcls_beam.preparing.sizes import Extent, ShortestEdge, Size
from imgcls_beam.preparing.steps import read_affine, read_geometry
from imgcls_beam.preparing.timm_steps import is_timm, read_timm
from imgcls_beam.reasons import describe_reason
from imgcls_beam.scoring import ChannelAffine, ModelSource

_LOG = logging.getLogger(__name__)

_PROBE_SIZES = ((61, 47), (300, 420), (7, 5), (250, 64), (64, 333))
"""Width and height: up and down, odd, tiny, panoramic both ways."""

_PROBE_TOLERANCE = 1e-5
"""Of model input, whose values lie within about ±3."""

_MAX_CALLED_CROPPED_PIXELS = 32 << 20
"""Of an image that a called processor has resized by its shorter edge and not cropped yet: it holds
about seven bytes of each. Aspect ratios up to 512 pass at an edge of 256."""

_MAX_CALLED_PIXELS = 4 << 20
"""The same where no crop follows: rescaling holds two float64 copies, some sixty bytes a pixel."""

_PROCESSOR_FAULTS = (ValueError, TypeError, ZeroDivisionError, IndexError)
"""What a processor raises on an image whose shape it cannot take, or on a config without sense."""


class Preparer:
    """Upright RGB image → pixels for the model. Light: no weights.

    Attributes:
        geometry: the fast way; None where the processor itself is called.
        affine: what the batch still needs; None where the processor has done it.
        processor_name: the class of the model's processor.
    """

    def __init__(self, processor: Any) -> None:  # noqa: ANN401  transformers' own class
        """Chooses the way for a loaded processor.

        Raises:
            ValueError: the processor's config makes no sense; TypeError, ZeroDivisionError,
                IndexError and AttributeError likewise.
        """
        self._processor = processor
        self.processor_name = type(processor).__name__
        self.geometry: Geometry | None = None
        self.affine: ChannelAffine | None = None
        read = read_timm if is_timm(processor) else _read
        if (found := read(processor)) is not None:
            self.geometry, self.affine = found
        if self.geometry and self.affine and not self._is_equal(self.geometry, self.affine):
            name = self.processor_name
            _LOG.warning("%s does not do what its config says; calling it for each image", name)
            self.geometry, self.affine = None, None
        if self.geometry is None:
            self._call_on_probes()

    @classmethod
    def of_geometry(cls, known: KnownGeometry) -> Self:
        """One whose processor was read before, and need not be loaded."""
        preparer = cls.__new__(cls)
        preparer._processor = None
        preparer.processor_name = known.processor_name
        preparer.geometry, preparer.affine = known.geometry, known.affine
        return preparer

    @property
    def way(self) -> Literal["geometry", "processor"]:
        """How an image is prepared: our own steps on uint8, or the processor called for each."""
        return "processor" if self.geometry is None else "geometry"

    @property
    def identity(self) -> Hashable:
        """Equal for those that make the same of every image."""
        return self if self.geometry is None else self.geometry

    def prepare(self, image: Image.Image) -> ModelInputs:
        """What one image, upright and of mode RGB, gives the model.

        Returns:
            `pixel_values`, uint8 (H, W, 3), where there is a geometry; else all that the processor
            gives, in its own types.

        Raises:
            ImageError: the processor cannot take this image.
        """
        if self.geometry is not None:
            return {"pixel_values": self.geometry.apply(image)}
        self._refuse_large(image)
        try:
            return self._call_processor(image)
        except _PROCESSOR_FAULTS as error:
            message = "the model's image processor cannot take an image of this shape"
            raise ImageError(FailureCode.UNPREPARABLE, message) from error

    def prepare_fast(self, image: Image.Image, extent: Extent) -> ModelInputs:
        """The same as `prepare`, but for some grey levels, and faster where there is a geometry.

        Args:
            image: upright and of mode RGB; reduced only where `find_target` has given a size.
            extent: what it shows.

        Raises:
            ImageError: the processor cannot take this image.
        """
        if self.geometry is None:
            return self.prepare(image)
        return {"pixel_values": self.geometry.apply_fast(image, extent)}

    def find_target(self, full: Size) -> Size | None:
        """See `Geometry.find_target`; None where there is no geometry."""
        return None if self.geometry is None else self.geometry.find_target(full)

    def _refuse_large(self, image: Image.Image) -> None:
        size, pixels = getattr(self._processor, "size", None), (image.height, image.width)
        edge_px = getattr(self._processor, "resize_short", None)
        edge_px = edge_px or getattr(size, "shortest_edge", None)
        if getattr(self._processor, "do_resize", True):
            if not edge_px or getattr(size, "longest_edge", None):
                return
            crop_pct = float(getattr(self._processor, "crop_pct", None) or 1.0)
            pixels = ShortestEdge(int(edge_px / crop_pct))(pixels)
        crops = getattr(self._processor, "do_center_crop", None)
        refuse_long(
            (image.height, image.width),
            pixels,
            _MAX_CALLED_CROPPED_PIXELS if crops else _MAX_CALLED_PIXELS,
        )

    def _call_processor(self, image: Image.Image) -> ModelInputs:
        # timm's gives tensors only; Pillow's own backend works in numpy.
        form = "np" if getattr(self._processor, "backend", None) == "pil" else "pt"
        outputs = self._processor(images=image, return_tensors=form)
        if any(len(values) != 1 for values in outputs.values()):
            raise ValueError("the processor makes several images of one")
        return {name: np.asarray(values[0]) for name, values in outputs.items()}

    def _is_equal(self, geometry: Geometry, affine: ChannelAffine) -> bool:
        """Whether this gives the processor's result on each probe that it takes, one at least."""
        scale, shift = (np.asarray(each, np.float32) for each in (affine.scale, affine.shift))
        compared = 0
        for probe in map(_draw_probe, _PROBE_SIZES):
            with contextlib.suppress(ImageError):
                ours = (geometry.apply(probe).astype(np.float32) * scale + shift).transpose(2, 0, 1)
                compared += 1
                theirs = self._call_processor(probe).get("pixel_values", np.empty(0))
                if ours.shape != theirs.shape or not np.allclose(ours, theirs, 0, _PROBE_TOLERANCE):
                    return False
        return compared > 0

    def _call_on_probes(self) -> None:
        """Finds a processor that can take no image at all, before the first row."""
        for size in _PROBE_SIZES[:-1]:
            with contextlib.suppress(*_PROCESSOR_FAULTS):
                self._call_processor(_draw_probe(size))
                return
        self._call_processor(_draw_probe(_PROBE_SIZES[-1]))


@functools.lru_cache(maxsize=8)
def load_preparer(source: ModelSource) -> Preparer:
    """Loads the image processor of a model, unless its geometry is known; once per process.

    Raises:
        ModelError: there is no processor config, or nothing here can run it.
    """
    if (known := find_geometry(source)) is not None:
        return Preparer.of_geometry(known)
    processor = load_processor(source)
    try:
        preparer = Preparer(processor)
    except (*_PROCESSOR_FAULTS, LookupError, AttributeError) as error:
        reason = explain_processor(source, Preparer) or f"fails ({describe_reason(error)})"
        problem = f"{source.model_id}: its image processor {reason}"
        raise ModelError(" ".join(problem.split())) from error
    if preparer.geometry is not None and not is_timm(processor):  # timm's version has a say, too
        name = preparer.processor_name
        keep_geometry(source, KnownGeometry(name, preparer.geometry, preparer.affine))
    return preparer


def _read(processor: Any) -> tuple[Geometry, ChannelAffine] | None:  # noqa: ANN401
    geometry = read_geometry(processor)
    return None if geometry is None else (geometry, read_affine(processor))


def _draw_probe(size: tuple[int, int]) -> Image.Image:
    """A picture with every grey level and sharp edges: noise, the same each time."""
    width_px, height_px = size
    noise = np.random.default_rng(width_px).integers(0, 256, (height_px, width_px, 3))
    return Image.fromarray(noise.astype(np.uint8))
