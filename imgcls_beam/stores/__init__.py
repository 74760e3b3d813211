"""Stores of files and objects, through fsspec: opened, asked for versions, listed in pages."""

from imgcls_beam.stores.folder import Folder
from imgcls_beam.stores.infos import (
    Info,
    find_info,
    has_pages,
    has_protocol,
    is_local,
    list_below,
)
from imgcls_beam.stores.opening import (
    StoreKey,
    join_url,
    open_folder,
    open_parent,
    open_store,
    spell_uri,
    split_url,
)
from imgcls_beam.stores.versions import (
    checksum_of,
    facts_of,
    has_secret_etag,
    has_version,
    is_content,
    size_of,
    updated_at_of,
    version_of,
)

__all__ = [
    "Folder",
    "Info",
    "StoreKey",
    "checksum_of",
    "facts_of",
    "find_info",
    "has_pages",
    "has_protocol",
    "has_secret_etag",
    "has_version",
    "is_content",
    "is_local",
    "join_url",
    "list_below",
    "open_folder",
    "open_parent",
    "open_store",
    "size_of",
    "spell_uri",
    "split_url",
    "updated_at_of",
    "version_of",
]
