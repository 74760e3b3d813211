"""Bytes → pixels: safe decoding, orientation, the model's own geometry."""

from imgcls_beam.preparing.decode import DecodedImage, UndecodedImage, try_decode, upright_rgb
from imgcls_beam.preparing.geometry import Geometry
from imgcls_beam.preparing.modes import read_mode
from imgcls_beam.preparing.prepare import (
    decode_pool,
    prepare_for_models,
    prepare_image,
    prepare_opened,
)
from imgcls_beam.preparing.previews import draw_preview
from imgcls_beam.preparing.probes import draw_known, draw_probes
from imgcls_beam.preparing.processors import Preparer, load_preparer
from imgcls_beam.preparing.shared_pixels import Prepared, SharedPixels

__all__ = [
    "DecodedImage",
    "Geometry",
    "Prepared",
    "Preparer",
    "SharedPixels",
    "UndecodedImage",
    "decode_pool",
    "draw_known",
    "draw_preview",
    "draw_probes",
    "load_preparer",
    "prepare_for_models",
    "prepare_image",
    "prepare_opened",
    "read_mode",
    "try_decode",
    "upright_rgb",
]
