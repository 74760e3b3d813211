"""The mode of an image as it is in its file, for people who want to know what they have."""

import contextlib
import io

from imgcls_beam.errors import ImageError
from imgcls_beam.preparing.formats import FORMATS, identify


def read_mode(data: bytes) -> str | None:
    """Pillow's name of the mode, e.g. `RGB`, `L` or `CMYK`; None where it is not known.

    Args:
        data: of an image that was decoded before, within the limits.
    """
    with contextlib.suppress(ImageError):
        found = FORMATS[identify(data)]
        return found.reader(io.BytesIO(found.inspect(data).data)).mode
    return None
