"""The versions of what has a say in a score."""

import contextlib
import functools
import importlib.metadata

_LIBRARIES = ("apache-beam", "imgcls_beam", "numpy", "pillow", "pyarrow", "torch", "transformers")


@functools.cache
def _find_versions() -> tuple[tuple[str, str], ...]:
    found = []
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append((name, importlib.metadata.version(name)))
    return tuple(found)


def find_versions() -> dict[str, str]:
    """Versions by name, where this runs; a launcher need not have all of the libraries."""
    return dict(_find_versions())
