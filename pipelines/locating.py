"""Paths as they are for who reads them elsewhere."""

import os


def make_absolute(url: str) -> str:
    """A path of this machine from its root; a URL, and the name of a table, as they are."""
    is_url = "://" in url or url.lower().startswith(("bq:", "file:/"))
    return url if is_url else os.path.abspath(os.path.expanduser(url))
