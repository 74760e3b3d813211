"""The versions of what has a say in a score."""

import contextlib
import functools
import importlib.metadata

_LIBRARIES = (
    *("apache-beam", "imgcls_beam", "numpy", "openvino", "pillow", "pillow-heif", "pyarrow"),
    *("torch", "transformers"),
)


@functools.cache
def find_versions() -> dict[str, str]:
    """Versions by name, where this runs; a launcher need not have all of the libraries."""
    found = {}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
