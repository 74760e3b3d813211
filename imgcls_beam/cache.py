"""Where what may be deleted is kept on this machine."""

import os
import pathlib


def find_cache() -> pathlib.Path:
    """`$IMGCLS_CACHE`, else `imgcls_beam` below `$XDG_CACHE_HOME` or `~/.cache`.

    It may be deleted.
    """
    if own := os.environ.get("IMGCLS_CACHE"):
        return pathlib.Path(own)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "imgcls_beam"
