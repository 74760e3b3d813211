"""`ImageRef` → `EncodedImage`: what was listed becomes bytes, with limits and retries."""

from imgcls_beam.reading.breaker import read_or_give_up
from imgcls_beam.reading.pinning import fill_versions, look_up_versions
from imgcls_beam.reading.read import read_images
from imgcls_beam.reading.shared_reads import ObjectKey, find_object, give_to

__all__ = [
    "ObjectKey",
    "fill_versions",
    "find_object",
    "give_to",
    "look_up_versions",
    "read_images",
    "read_or_give_up",
]
