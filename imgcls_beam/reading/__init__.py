"""`ImageRef` → `EncodedImage`: what was listed becomes bytes, with limits and retries."""

from imgcls_beam.reading.images import read_images

__all__ = ["read_images"]
