"""What is to be classified → `ImageRef`s, and a `Failure` for each line that names no image."""

from imgcls_beam.listing.on_disk import Distinct, spool, uri_digest
from imgcls_beam.listing.reference_groups import Listed, group_few
from imgcls_beam.listing.reference_keys import carried_text, ref_of, reference_digest, row_digest
from imgcls_beam.listing.sources import check_inputs, list_distinct, list_images

__all__ = [
    "Distinct",
    "Listed",
    "carried_text",
    "check_inputs",
    "group_few",
    "list_distinct",
    "list_images",
    "ref_of",
    "reference_digest",
    "row_digest",
    "spool",
    "uri_digest",
]
