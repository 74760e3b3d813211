"""What the sink asks of a store, on any file system that fsspec knows.

Nothing here expands patterns: fsspec's own `mv`, `cp` and recursive `rm` treat `[`, `*` and `?` in
a path as a glob, and move or delete other files than those named. Nothing here makes a bucket:
`makedirs` does so on some stores, so it is called on local disks only, which alone need folders.
"""

import contextlib
import datetime
import functools
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from imgcls_beam.errors import ConfigError
from imgcls_beam.stores.keys import join, open_store
from imgcls_beam.stores.versions import updated_at_of

_ResultT = TypeVar("_ResultT")

_CHUNK_BYTES = 1 << 20
_FOLDER_TRIES = 20


def resolve(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL, and the path on it."""
    return open_store("output", url)


def is_local(url: str) -> bool:
    """Whether the URL lies on a disk of this machine."""
    return isinstance(resolve(url)[0], LocalFileSystem)


def open_new(url: str) -> IO[bytes]:
    """Opens a file for writing; a local disk gets the folders it needs."""
    store, path = resolve(url)
    opened: IO[bytes] = make_in_folder(store, path, functools.partial(store.open, path, "wb"))
    return opened


def open_existing(url: str) -> IO[bytes]:
    """Opens a file for reading.

    Raises:
        FileNotFoundError: it is not there.
    """
    store, path = resolve(url)
    opened: IO[bytes] = store.open(path, "rb")
    return opened


def find_size(url: str) -> int | None:
    """Size of a file in bytes; None where there is none."""
    store, path = resolve(url)
    try:
        size: int = store.info(path)["size"]
    except FileNotFoundError:
        return None
    return size


def hash_file(url: str) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    digest = hashlib.sha256()
    with open_existing(url) as source:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def list_names(folder: str) -> list[str]:
    """Every file below a folder, as sorted paths relative to it; none where there is no folder."""
    store, path = resolve(folder)
    prefix = path.rstrip("/") + "/"
    return sorted(found.removeprefix(prefix) for found in store.find(path))


def move_file(source: str, target: str) -> None:
    """Moves one file over another or to a new place; atomic on a local disk.

    On other stores it is a copy and a deletion: if it stops in between, both are there.
    """
    store, source_path = resolve(source)
    _, target_path = resolve(target)
    if isinstance(store, LocalFileSystem):
        move = functools.partial(store.mv, source_path, target_path)
        make_in_folder(store, target_path, move)
        return
    store.cp_file(source_path, target_path)  # on object stores a copy by the store itself
    with contextlib.suppress(FileNotFoundError):  # deleted, but the first answer was lost
        store.rm_file(source_path)


def move_new_file(source: str, target: str) -> None:
    """Moves one file to a place where there is nothing; in one step on a local disk.

    Other stores are asked first and written then: in between, another program may write there.

    Raises:
        FileExistsError: there is something; it was left as it is.
    """
    store, source_path = resolve(source)
    _, target_path = resolve(target)
    if isinstance(store, LocalFileSystem):
        make_in_folder(
            store, target_path, functools.partial(_link, store, source_path, target_path)
        )
        return
    if store.exists(target_path):
        raise FileExistsError(target)
    store.cp_file(source_path, target_path)
    store.rm_file(source_path)


def write_file(url: str, data: bytes) -> None:
    """Writes a small file, over what is there."""
    with open_new(url) as target:
        target.write(data)


def write_synced(url: str, data: bytes) -> None:
    """Writes a small file on a local disk; its bytes outlive a power cut."""
    with open_new(url) as target:
        target.write(data)
        target.flush()
        os.fsync(target.fileno())


def write_new_file(url: str, data: bytes, scratch: str) -> None:
    """Writes a small file in one step, unless there is one.

    On a local disk the bytes are written to `scratch` (on the same disk) and linked to their
    place, which fails where there is something. Elsewhere the store is asked to create only; where
    it refuses and exactly these bytes are there, its first answer was lost.

    Raises:
        FileExistsError: there is one; it was left as it is.
    """
    store, path = resolve(url)
    if not isinstance(store, LocalFileSystem):
        try:
            store.pipe_file(path, data, mode="create")
        except FileExistsError:
            if store.cat_file(path) != data:
                raise
        return
    write_synced(scratch, data)
    make_in_folder(store, path, functools.partial(_link, store, resolve(scratch)[1], path))


def remove_files(urls: Sequence[str]) -> None:
    """Removes files; one that is gone already is no error."""
    for url in urls:
        store, path = resolve(url)
        with contextlib.suppress(FileNotFoundError):
            store.rm_file(path)


def remove_folder(url: str) -> None:
    """Removes a folder and all below it; one that is gone already is no error."""
    remove_files([f"{url}/{name}" for name in list_names(url)])
    store, path = resolve(url)
    if isinstance(store, LocalFileSystem):
        for folder, _, _ in os.walk(path, topdown=False):
            _remove_empty(store, folder)


def prune(*urls: str) -> None:
    """Removes folders that are empty, in the order given; only local disks have such."""
    for url in urls:
        store, path = resolve(url)
        if isinstance(store, LocalFileSystem):
            _remove_empty(store, path)


def find_missing_folders(url: str) -> list[str]:
    """The folders that would have to be made for this one, deepest first; local disks only."""
    if not is_local(url):
        return []
    path = resolve(url)[1]
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing


def find_last_write(folder: str) -> datetime.datetime | None:
    """When the newest file below a folder was written, UTC; None where none has a time."""
    store, path = resolve(folder)
    times = [updated_at_of(info) for info in store.find(path, detail=True).values()]
    return max((time for time in times if time is not None), default=None)


def list_folders(folder: str) -> list[str]:
    """Names of the folders directly below a folder; none where there is no folder."""
    store, path = resolve(folder)
    try:
        entries = store.ls(path, detail=True)
    except FileNotFoundError:
        return []
    names = [entry["name"].rstrip("/") for entry in entries if entry["type"] == "directory"]
    return sorted(name.rpartition("/")[2] for name in names)


def sync(root: str, urls: Sequence[str]) -> None:
    """Sees to it that files, and the folders from them up to `root`, outlive a power cut.

    Only local disks need it: elsewhere an object that is written is there.
    """
    if not is_local(root) or os.name != "posix":
        return
    top = resolve(root)[1].rstrip("/")
    paths = [resolve(url)[1] for url in urls]
    folders: dict[str, None] = {}
    for path in paths:
        while (path := os.path.dirname(path)).startswith(top) and path not in folders:
            folders[path] = None
    for path in (*paths, *folders):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a file system that cannot sync a folder
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def try_folder(folder: str) -> None:
    """Writes and removes a small object in a folder, and leaves nothing behind.

    Raises:
        Exception: what the store says where that cannot be done.
    """
    probe = join(folder, f"probe-{uuid.uuid4().hex}")
    made: list[str] = []
    try:
        made = find_missing_folders(folder)
        write_file(probe, b"")
        remove_files([probe])
    finally:
        prune(*made)


@contextlib.contextmanager
def refuse_unwritable(option: str, url: str) -> Iterator[None]:
    """Turns what a store refuses into a `ConfigError` of this option.

    Raises:
        ConfigError: nothing can be written there.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # each store has exceptions of its own; all mean the same here
        problem = "no file can be written and deleted there; check the place and your rights to it"
        raise ConfigError(option, url, problem) from error


def make_in_folder(
    store: fsspec.AbstractFileSystem, path: str, operation: Callable[[], _ResultT]
) -> _ResultT:
    """Does what makes a file; a local disk gets the file's folders first.

    Another program may find them empty, and remove them, before the file is there.
    """
    if not isinstance(store, LocalFileSystem):
        return operation()
    for _ in range(_FOLDER_TRIES):
        # `makedirs` says that a folder exists if it is taken away while being looked at.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            store.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            return operation()
    store.makedirs(os.path.dirname(path), exist_ok=True)
    return operation()


def _link(store: fsspec.AbstractFileSystem, source: str, target: str) -> None:
    try:
        store.link(source, target)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:  # a disk without hard links: check, then rename, with a gap between the two
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        store.mv(source, target)
        return
    store.rm_file(source)


def _remove_empty(store: fsspec.AbstractFileSystem, path: str) -> None:
    with contextlib.suppress(OSError):  # not empty, or gone
        store.rmdir(path)
