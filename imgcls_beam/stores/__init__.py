"""Stores of files and objects, through fsspec: opened, marked, and listed a page at a time."""

from imgcls_beam.stores.marks import (
    checksum_of,
    has_secret_etag,
    is_content,
    is_marked,
    marks_of,
    size_of,
)
from imgcls_beam.stores.opening import find_info, has_protocol, is_local, open_store, spell_uri
from imgcls_beam.stores.pages import has_pages, list_below

__all__ = [
    "checksum_of",
    "find_info",
    "has_pages",
    "has_protocol",
    "has_secret_etag",
    "is_content",
    "is_local",
    "is_marked",
    "list_below",
    "marks_of",
    "open_store",
    "size_of",
    "spell_uri",
]
