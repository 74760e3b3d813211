"""What is to be classified → `ImageRef`s, and a `Failure` for each line that names no image."""

from imgcls_beam.listing.on_disk import Distinct, spool, uri_digest
from imgcls_beam.listing.sources import check_inputs, list_distinct, list_images

__all__ = [
    "Distinct",
    "check_inputs",
    "list_distinct",
    "list_images",
    "spool",
    "uri_digest",
]
