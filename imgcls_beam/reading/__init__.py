"""`ImageRef` → `EncodedImage`: what was listed becomes bytes, with limits and retries."""

from imgcls_beam.reading.images import read_images
from imgcls_beam.reading.versions import fill_versions, look_up_versions

__all__ = ["fill_versions", "look_up_versions", "read_images"]
