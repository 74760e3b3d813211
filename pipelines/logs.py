"""Logging of the programs: light, so that it can be set up before Beam is imported."""

import logging
import warnings

_NOISE = ("apitools not found", "requires torchvision", "Resource module is not available")
"""Warnings of libraries about packages that are not needed here. The last one means that SciPy is
not installed, by which Beam would guess the model's size."""


def set_up() -> None:
    """Warnings of everybody, and what this package has to say; on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_is_worth_showing)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("imgcls").setLevel(logging.INFO)
    # What Pillow thinks of an image's EXIF is a fact of that image: it belongs into no log.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _is_worth_showing(record: logging.LogRecord) -> bool:
    return not any(noise in record.getMessage() for noise in _NOISE)
