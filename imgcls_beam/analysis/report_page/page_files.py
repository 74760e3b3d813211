"""A page → its file, on any store."""

from imgcls_beam.stores import refuse_store_faults
from imgcls_beam.stores.opening import open_parent


def write_page(option: str, url: str, page: str) -> None:
    """Writes a page, over one that is there.

    Args:
        option: that says where.
        url: path or URL of the file.
        page: its text.

    Raises:
        ConfigError: the file cannot be written.
    """
    with refuse_store_faults(option, url):
        folder, name = open_parent(option, url)
    with folder.refuse_unwritable():
        folder.write(name, page.encode("utf-8", "replace"))
