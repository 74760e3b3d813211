"""The bytes of an image that a caller has opened and Pillow has not loaded yet."""

import threading

from PIL import Image
from PIL.ImageFile import ImageFile

from imgcls_beam.errors import ImageError
from imgcls_beam.preparing.formats import identify

_SAYING_MORE = frozenset({"TIFF", "JPEG2000", "PNG", "PPM"})
"""Formats whose files say what Pillow does not tell of them, or misreads."""
_READING = threading.Lock()
"""Two opened images may share a file, and one image may come twice."""


def read_unloaded(image: Image.Image) -> bytes | None:
    """The file that an opened image would be loaded from; None where there is none, or no need.

    Only the file that the image holds open is read, from its beginning, and left where it was. The
    image is not loaded. One that was loaded, or turned to another frame, is what the caller made.
    """
    if not isinstance(image, ImageFile) or image.format not in _SAYING_MORE:
        return None
    file = getattr(image, "fp", None)
    if file is None or not image.tile or image.tell() != 0:
        return None
    with _READING:
        try:
            at = file.tell()
            try:
                file.seek(0)
                data = file.read()
            finally:
                file.seek(at)
        except (OSError, ValueError):  # it is closed, or cannot be read twice
            return None
    return data if _is_of(image, data) else None


def _is_of(image: ImageFile, data: object) -> bool:
    """Whether bytes are a file of the image's own format."""
    if not isinstance(data, bytes):
        return False
    try:
        return identify(data) == image.format
    except ImageError:
        return False
