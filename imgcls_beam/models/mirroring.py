"""A model's folder on an object store → a copy on this machine, made once for all processes."""

import contextlib
import functools
import hashlib
import json
import pathlib
import shutil
import tempfile
from typing import Any

from imgcls_beam.cache import find_cache
from imgcls_beam.errors import ConfigError
from imgcls_beam.json_bounds import MAX_BYTES
from imgcls_beam.models.model_files import check_folder, has_model, hash_files, list_needed
from imgcls_beam.scoring import WeightsForm
from imgcls_beam.stores import open_store, version_of

_REVISION = "revision"

_MAX_INNER_FOLDERS = 20


def mirror_folder(url: str, form: WeightsForm = "auto") -> tuple[pathlib.Path, str]:
    """Copies a model's files to the cache, unless a copy of exactly these is there.

    What was copied is known by the names, sizes and versions that the store lists. Of several
    processes that want the same copy, one makes it and the others wait.

    Args:
        url: of the folder.
        form: what weights may be read from.

    Returns:
        The copy, and the SHA-256 over its files.

    Raises:
        ConfigError: there is no such folder, or no model in it, or none of this form.
        OSError: its files cannot be read.
    """
    from filelock import FileLock

    store, root = open_store("model", url)
    files = _list_files(store, root, url, form)
    place = find_cache() / _digest_listing(url, files)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not (place / _REVISION).is_file():
            _copy(store, {name: info["name"] for name, info in files.items()}, place)
        return place, (place / _REVISION).read_text(encoding="ascii")


def _list_files(
    store: Any,  # noqa: ANN401
    root: str,
    url: str,
    form: WeightsForm,
) -> dict[str, dict[str, Any]]:
    """What the store says of each file that a classifier is loaded from, by its name."""
    try:
        found = _list_folder(store, root)
    except FileNotFoundError as error:
        raise ConfigError("model", url, "there is no such folder") from error
    except PermissionError as error:
        raise ConfigError("model", url, "it may not be read; check your credentials") from error
    if not has_model(found):  # to say where one is
        found |= _list_inner(store, root)
    weights = check_folder(url, found, form)
    read = functools.partial(store.cat_file, start=0, end=MAX_BYTES + 1)
    needed = list_needed(url, weights, lambda name: bytes(read(found[name]["name"])))
    for name in needed:
        if "/" in name:
            with contextlib.suppress(FileNotFoundError):  # is said when the copy is checked
                found[name] = store.info(f"{root.rstrip('/')}/{name}")
    return {name: found[name] for name in needed if name in found}


def _list_folder(store: Any, root: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    infos = store.ls(root, detail=True)
    files = (info for info in infos if info["type"] == "file")
    return {info["name"].rstrip("/").rpartition("/")[2]: info for info in files}


def _list_inner(store: Any, root: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    """Files of the folders in a folder, as `folder/file`."""
    folders = [info["name"] for info in store.ls(root, detail=True) if info["type"] != "file"]
    return {
        f"{folder.rstrip('/').rpartition('/')[2]}/{name}": info
        for folder in folders[:_MAX_INNER_FOLDERS]
        for name, info in _list_folder(store, folder).items()
    }


def _digest_listing(url: str, files: dict[str, dict[str, Any]]) -> str:
    listing = [(name, info.get("size"), version_of(info)) for name, info in sorted(files.items())]
    return hashlib.sha256(json.dumps([url, listing]).encode("utf-8", "replace")).hexdigest()


def _copy(store: Any, paths: dict[str, str], place: pathlib.Path) -> None:  # noqa: ANN401
    """Copies to a temporary folder and renames it: a killed copy is never taken for a whole one."""
    for dead in place.parent.glob(f"{place.name}.part-*"):  # we hold the lock, so none is in use
        shutil.rmtree(dead, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=f"{place.name}.part-", dir=place.parent, ignore_cleanup_errors=True
    ) as temporary:
        folder = pathlib.Path(temporary)
        for name, path in paths.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            store.get_file(path, str(folder / name))
        (folder / _REVISION).write_text(hash_files(folder, paths), encoding="ascii")
        shutil.rmtree(place, ignore_errors=True)
        folder.rename(place)
