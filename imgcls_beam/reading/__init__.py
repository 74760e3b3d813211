"""`ImageRef` → `EncodedImage`: what was listed becomes bytes, with limits and retries."""

from imgcls_beam.reading.pinning import fill_versions, look_up_versions
from imgcls_beam.reading.read import read_images

__all__ = ["fill_versions", "look_up_versions", "read_images"]
