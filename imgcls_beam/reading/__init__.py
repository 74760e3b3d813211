"""`ImageRef` → `EncodedImage`: what was listed becomes bytes, with limits and retries."""

from imgcls_beam.reading.bounded_reads import BoundedReads, read_on
from imgcls_beam.reading.gate import Gate
from imgcls_beam.reading.pinning import fill_versions, look_up_versions
from imgcls_beam.reading.read import read_images
from imgcls_beam.reading.shared_reads import (
    Begun,
    LateRead,
    ObjectKey,
    find_object,
    give_to,
    wait_for,
)

__all__ = [
    "Begun",
    "BoundedReads",
    "Gate",
    "LateRead",
    "ObjectKey",
    "fill_versions",
    "find_object",
    "give_to",
    "look_up_versions",
    "read_images",
    "read_on",
    "wait_for",
]
