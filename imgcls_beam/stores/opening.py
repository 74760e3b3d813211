"""The one way to open a file system: fsspec, without its chaining; and what it knows of an object.

`fsspec.url_to_fs` follows `simplecache::https://…`, which would walk around the allow-list of
schemes. Here a URL has one scheme, and the rest of it is a path.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from imgcls_beam.checks import scheme_of
from imgcls_beam.errors import ConfigError
from imgcls_beam.stores.keys import StoreKey

_EXTRA_OF = {"gs": "gcp", "gcs": "gcp", "s3": "s3", "s3a": "s3"}
_PASSWORD = re.compile(r"(://[^/@:]*):[^/@]*@")


def open_store(option: str, url: str) -> tuple[AbstractFileSystem, str]:
    """Opens the file system of a URL.

    Args:
        option: the option to name in an error.
        url: a path, or a URL whose scheme has been checked.

    Returns:
        The fsspec file system, and the path in its own spelling (local paths absolute).

    Raises:
        ConfigError: nothing that is installed reads this scheme, or its host cannot be reached.
    """
    try:
        key = StoreKey.of(url)
        return key.open(), key.path_of(url)
    except ImportError as error:
        scheme = scheme_of(url)
        extra = _EXTRA_OF.get(scheme)
        advice = f"pip install 'imgcls_beam[{extra}]'" if extra else "install its fsspec package"
        raise ConfigError(option, url, f"nothing installed reads {scheme}://; {advice}") from error
    except ValueError as error:
        shown = _PASSWORD.sub(r"\1:…@", url)
        raise ConfigError(option, shown, f"it cannot be opened: {error}") from error
    except OSError as error:
        raise ConfigError(option, url, "its host does not answer, or refuses") from error


def find_info(store: AbstractFileSystem, path: str) -> Mapping[str, Any]:
    """What a store knows of an object now.

    Of a link on a local disk it is what the link leads to: that is what is read. GCS and S3 are
    asked directly: gcsfs asks twice, s3fs leaves out how an object is encrypted.

    Raises:
        FileNotFoundError: it is not there.
    """
    ask = next((ask for name, ask in _ASK_FOR_OBJECT.items() if has_protocol(store, name)), None)
    bucket, key, _ = store.split_path(path) if ask else ("", "", None)
    if ask and key and not key.endswith("/"):  # a/: a folder, though its placeholder is an object
        try:
            return {**ask(store, bucket, key), "name": f"{bucket}/{key}", "type": "file"}
        except OSError as error:
            # It may be a folder; and gcsfs looks into the listing where objects may not be asked
            # for: it says so with an OSError of no further kind.
            if not isinstance(error, FileNotFoundError) and type(error) is not OSError:
                raise
    info: Mapping[str, Any] = store.info(path)
    if info.get("islink"):
        target = os.stat(path)
        info = {**info, "size": target.st_size, "mtime": target.st_mtime}
    return info


def has_protocol(store: AbstractFileSystem, name: str) -> bool:
    """Whether a store is of the kind that a scheme names."""
    names = store.protocol
    return name == names if isinstance(names, str) else name in names


def is_local(store: AbstractFileSystem) -> bool:
    """Whether a store is a disk of this machine."""
    return isinstance(store, LocalFileSystem)


def _ask_gcs(store: AbstractFileSystem, bucket: str, key: str) -> Mapping[str, Any]:
    found = store.call("GET", "b/{}/o/{}", bucket, key, json_out=True)
    return {**found, "size": int(found["size"])}


def _ask_s3(store: AbstractFileSystem, bucket: str, key: str) -> Mapping[str, Any]:
    head = store.call_s3("head_object", Bucket=bucket, Key=key, **store.req_kw)
    return {**head, "size": head["ContentLength"]}


_ASK_FOR_OBJECT = {"gs": _ask_gcs, "s3": _ask_s3}
