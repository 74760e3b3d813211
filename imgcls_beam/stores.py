"""The one way to open a file system: fsspec, without its chaining.

`fsspec.url_to_fs` follows `simplecache::https://…`, which would walk around the allow-list of
schemes. Here a URL has one scheme, and the rest of it is a path.
"""

import fsspec

from imgcls_beam.checks import scheme_of
from imgcls_beam.errors import ConfigError

_EXTRA_OF = {"gs": "gcp", "gcs": "gcp", "s3": "s3", "s3a": "s3"}


def open_store(option: str, url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Opens the file system of a URL.

    Listings are never cached: a program that lists twice wants to see what changed.

    Args:
        option: the option to name in an error.
        url: a path, or a URL whose scheme has been checked.

    Returns:
        The fsspec file system, and the path in its own spelling (local paths absolute).

    Raises:
        ConfigError: nothing that is installed reads this scheme.
    """
    scheme = scheme_of(url)
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        extra = _EXTRA_OF.get(scheme)
        advice = f"pip install 'imgcls_beam[{extra}]'" if extra else "install its fsspec package"
        raise ConfigError(option, url, f"nothing installed reads {scheme}://; {advice}") from error
    if url.lower().startswith(f"{scheme}://"):
        url = scheme + url[len(scheme) :]  # fsspec takes FILE:// for the beginning of a path
    options = kind._get_kwargs_from_urls(url)
    store = fsspec.filesystem(scheme, use_listings_cache=False, **options)
    return store, kind._strip_protocol(url)
