"""A model's own image processor, as fast as its config allows.

`load_preparer` reads the processor that belongs to the model. Where its steps are resize, centre
crop, rescale and normalise, they become a `Geometry` on uint8 and a `ChannelAffine` for the whole
batch; this is believed only after it gave the processor's own result on probe images. Every other
processor is called for each image.
"""

import functools
import logging
from typing import Any

import numpy as np
from PIL import Image

from imgcls_beam.elements import ChannelAffine, ModelSource, Pixels
from imgcls_beam.errors import FailureCode, ImageError, ModelError
from imgcls_beam.preparing.geometry import Geometry, resize_shortest_edge

_LOG = logging.getLogger(__name__)

_PROBE_SIZES = ((61, 47), (300, 420), (640, 64))
_PROBE_TOLERANCE = 1e-5
"""Of model input, whose values lie within about ±3."""

_MAX_CALLED_PIXELS = 32 << 20
"""Of an image that a called processor has resized by its shorter edge and not cropped yet: it holds
about seven bytes of each. Aspect ratios up to 512 pass at an edge of 256."""

_STEPS = ("_preprocess", "resize", "center_crop", "rescale", "normalize", "process_image", "pad")
_CONVNEXT_WARP_PX = 384
"""From this edge on ConvNeXT's processor warps to a square and does not crop."""


class Preparer:
    """Upright RGB image → pixels for the model. Light: no weights.

    Attributes:
        geometry: the fast way; None where the processor itself is called.
        affine: what the batch still needs; None where the processor has done it.
    """

    def __init__(self, processor: Any) -> None:  # noqa: ANN401  transformers' own class
        """Chooses the way for a loaded processor."""
        self._processor = processor
        self.geometry = _to_geometry(processor)
        self.affine = _to_affine(processor) if self.geometry else None
        if self.geometry and self.affine and not self._is_equal(self.geometry, self.affine):
            name = type(processor).__name__
            _LOG.warning("%s does not do what its config says; calling it for each image", name)
            self.geometry, self.affine = None, None

    def prepare(self, image: Image.Image) -> Pixels:
        """Pixels of one image.

        Args:
            image: mode RGB, upright.

        Returns:
            uint8 (H, W, 3) where there is a geometry, else float32 (3, H, W).

        Raises:
            ImageError: the processor cannot take this image.
        """
        if self.geometry is not None:
            return self.geometry.apply(image)
        self._refuse_long(image)
        try:
            return self._call_processor(image)
        except (ValueError, TypeError, ZeroDivisionError, IndexError) as error:
            message = "the model's image processor cannot take an image of this shape"
            raise ImageError(FailureCode.UNPREPARABLE, message) from error

    def _refuse_long(self, image: Image.Image) -> None:
        size = getattr(self._processor, "size", None)
        edge_px = getattr(size, "shortest_edge", None)
        if edge_px and not getattr(size, "longest_edge", None):
            resize_shortest_edge(image, edge_px, _MAX_CALLED_PIXELS)

    def _call_processor(self, image: Image.Image) -> Pixels:
        outputs = self._processor(images=image, return_tensors="np")
        if set(outputs) != {"pixel_values"}:
            names = ", ".join(sorted(outputs))
            raise ModelError(f"the model's image processor gives {names}; only pixel_values is fed")
        return np.asarray(outputs["pixel_values"][0], dtype=np.float32)

    def _is_equal(self, geometry: Geometry, affine: ChannelAffine) -> bool:
        scale, shift = (np.asarray(each, np.float32) for each in (affine.scale, affine.shift))
        for probe in map(_draw_probe, _PROBE_SIZES):
            ours = geometry.apply(probe).astype(np.float32) * scale + shift
            theirs = self._call_processor(probe).transpose(1, 2, 0)
            same_shape = ours.shape == theirs.shape
            if not (same_shape and float(np.abs(ours - theirs).max()) <= _PROBE_TOLERANCE):
                return False
        return True


@functools.lru_cache(maxsize=8)
def load_preparer(source: ModelSource) -> Preparer:
    """Loads the image processor of a model; once per process and model.

    The Pillow backend is asked for by name: it is the one without torchvision, and the two differ
    by up to two grey levels.

    Raises:
        ModelError: there is no processor config, or nothing here can run it.
    """
    from transformers import AutoImageProcessor

    try:
        processor = AutoImageProcessor.from_pretrained(
            source.location, revision=source.commit, backend="pil", trust_remote_code=False
        )
        return Preparer(processor)
    except (OSError, ValueError, TypeError, ImportError, LookupError, AttributeError) as error:
        problem = f"{source.model_id}: its image processor cannot be loaded ({error})"
        raise ModelError(" ".join(problem.split())) from error
    except ZeroDivisionError as error:
        raise ModelError(f"{source.model_id}: its image processor divides by zero") from error


def _to_geometry(processor: Any) -> Geometry | None:  # noqa: ANN401
    """The processor's steps as a `Geometry`; None where they are others than it knows."""
    is_convnext = _is_convnext(processor)
    if not (is_convnext or _is_plain(processor)) or not processor.do_resize or processor.do_pad:
        return None
    size, crop = processor.size, _crop_of(processor)
    if size.longest_edge or size.max_height or size.max_width:
        return None
    if is_convnext:
        return None if crop else _to_convnext_geometry(processor)
    resample = Image.Resampling(processor.resample)
    if size.shortest_edge:
        # Without a crop the shapes vary, and a batch wants one shape.
        return Geometry(None, size.shortest_edge, crop, resample) if crop else None
    return Geometry((size.height, size.width), None, crop, resample)


def _crop_of(processor: Any) -> tuple[int, int] | None:  # noqa: ANN401
    size = processor.crop_size if processor.do_center_crop else None
    return (size.height, size.width) if size else None


def _to_convnext_geometry(processor: Any) -> Geometry | None:  # noqa: ANN401
    edge_px = processor.size.shortest_edge
    resample = Image.Resampling(processor.resample)
    if not edge_px:
        return None
    if edge_px >= _CONVNEXT_WARP_PX:
        return Geometry((edge_px, edge_px), None, None, resample)
    return Geometry(None, int(edge_px / processor.crop_pct), (edge_px, edge_px), resample)


def _is_plain(processor: Any) -> bool:  # noqa: ANN401
    from transformers.image_processing_backends import PilBackend

    kind = type(processor)
    return issubclass(kind, PilBackend) and all(
        getattr(kind, step, None) is getattr(PilBackend, step, None) for step in _STEPS
    )


def _is_convnext(processor: Any) -> bool:  # noqa: ANN401
    return type(processor).__name__.startswith("ConvNextImageProcessor")


def _to_affine(processor: Any) -> ChannelAffine:  # noqa: ANN401
    factor = float(processor.rescale_factor) if processor.do_rescale else 1.0
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if processor.do_normalize:
        mean, std = _per_channel(processor.image_mean), _per_channel(processor.image_std)
    red, green, blue = ((factor / s, -m / s) for m, s in zip(mean, std, strict=True))
    return ChannelAffine((red[0], green[0], blue[0]), (red[1], green[1], blue[1]))


def _per_channel(value: Any) -> tuple[float, float, float]:  # noqa: ANN401
    red, green, blue = [value] * 3 if isinstance(value, int | float) else value
    return float(red), float(green), float(blue)


def _draw_probe(size: tuple[int, int]) -> Image.Image:
    """A picture with every grey level and sharp edges: noise, the same each time."""
    width_px, height_px = size
    noise = np.random.default_rng(width_px).integers(0, 256, (height_px, width_px, 3))
    return Image.fromarray(noise.astype(np.uint8))
