"""Bytes → pixels: safe decoding, orientation, the model's own geometry.

The names are loaded when they are used: a process that only decodes needs neither the stores nor
the files of models.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgcls_beam.preparing.decode import DecodedImage, UndecodedImage, try_decode, upright_rgb
    from imgcls_beam.preparing.geometry import Geometry
    from imgcls_beam.preparing.modes import read_mode
    from imgcls_beam.preparing.opened_files import read_unloaded
    from imgcls_beam.preparing.prepare import prepare_for_models, prepare_opened
    from imgcls_beam.preparing.probes import draw_known, draw_probes
    from imgcls_beam.preparing.processors import Preparer, load_preparer
    from imgcls_beam.preparing.shared_pixels import Prepared, SharedPixels

_NAMES = {
    "decode": "DecodedImage UndecodedImage try_decode upright_rgb",
    "geometry": "Geometry",
    "modes": "read_mode",
    "opened_files": "read_unloaded",
    "prepare": "prepare_for_models prepare_opened",
    "probes": "draw_known draw_probes",
    "processors": "Preparer load_preparer",
    "shared_pixels": "Prepared SharedPixels",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "DecodedImage",
    "Geometry",
    "Prepared",
    "Preparer",
    "SharedPixels",
    "UndecodedImage",
    "draw_known",
    "draw_probes",
    "load_preparer",
    "prepare_for_models",
    "prepare_opened",
    "read_mode",
    "read_unloaded",
    "try_decode",
    "upright_rgb",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  PEP 562
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
