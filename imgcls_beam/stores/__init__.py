"""Stores of files and objects, through fsspec: opened, asked for versions, listed in pages."""

from imgcls_beam.stores.client_faults import FaultKind, ask, is_fault, kind_of
from imgcls_beam.stores.folder import FileState, Folder
from imgcls_beam.stores.haste import hasten, share_haste
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
    is_bucket_name,
    join_url,
    open_folder,
    open_parent,
    open_store,
    show_store,
    spell_uri,
    split_url,
)
from imgcls_beam.stores.patience import (
    OTHER_RETRIES,
    RETRIES,
    Patience,
    bear_silence,
    find_limit_s,
    is_passing,
    iterate_waits,
)
from imgcls_beam.stores.public_hosts import REFUSED_HOST, find_host_problem
from imgcls_beam.stores.store_checks import check_store
from imgcls_beam.stores.store_refusals import (
    STORE_NAMES,
    find_bucket,
    has_bucket,
    refuse_store_faults,
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
    "OTHER_RETRIES",
    "REFUSED_HOST",
    "RETRIES",
    "STORE_NAMES",
    "FaultKind",
    "FileState",
    "Folder",
    "Info",
    "Patience",
    "StoreKey",
    "ask",
    "bear_silence",
    "check_store",
    "checksum_of",
    "facts_of",
    "find_bucket",
    "find_host_problem",
    "find_info",
    "find_limit_s",
    "has_bucket",
    "has_pages",
    "has_protocol",
    "has_secret_etag",
    "has_version",
    "hasten",
    "is_bucket_name",
    "is_content",
    "is_fault",
    "is_local",
    "is_passing",
    "iterate_waits",
    "join_url",
    "kind_of",
    "list_below",
    "open_folder",
    "open_parent",
    "open_store",
    "refuse_store_faults",
    "share_haste",
    "show_store",
    "size_of",
    "spell_uri",
    "split_url",
    "updated_at_of",
    "version_of",
]
