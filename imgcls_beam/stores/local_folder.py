"""A folder on a disk of this machine: folders are made and removed, a lock, links, syncing."""

import contextlib
import errno
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TypeVar

from filelock import FileLock
from fsspec.implementations.local import LocalFileSystem

from imgcls_beam.stores.folder import Folder

try:
    import fcntl
except ImportError:  # not on Windows, whose disks have locks
    fcntl = None  # type: ignore[assignment]

_ResultT = TypeVar("_ResultT")

_FOLDER_TRIES = 20
_POLL_S = 0.02
_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


class LocalFolder(Folder):
    """A hard link decides who creates a file; who replaces one holds the lock."""

    __slots__ = ()

    @property
    def has_lock(self) -> bool:
        """Whether its lock keeps other programs of this machine away: not on a disk without locks.

        The lock of a folder is tried, of the nearest one that is there; nothing is written.
        """
        return fcntl is None or _has_locks(self.path_of(""))

    def hold_lock(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Lets in one program of this machine; the lock of a killed one is free.

        On disks without locks this does nothing.
        """
        return _hold_lock(self.store, self.path_of(name))

    def open_new(self, name: str) -> IO[bytes]:
        """Makes the folders first."""
        path = self.path_of(name)
        opened: IO[bytes] = _make_in_folder(
            self.store, path, functools.partial(self.store.open, path, "wb")
        )
        return opened

    def move(self, name: str, target: str) -> None:
        """In one step."""
        path = self.path_of(target)
        move = functools.partial(self.store.mv, self.path_of(name), path)
        _make_in_folder(self.store, path, move)

    def move_new(self, name: str, target: str) -> None:
        """In one step."""
        path = self.path_of(target)
        link = functools.partial(_link_new, self.store, self.path_of(name), path)
        _make_in_folder(self.store, path, link)

    def remove_below(self, name: str = "") -> None:
        """Files, and then folders."""
        super().remove_below(name)
        for path, _, _ in os.walk(self.path_of(name), topdown=False):
            self._remove_empty(path)

    def prune(self, *names: str) -> None:
        """Removes folders that are empty, in the order given."""
        for name in names:
            self._remove_empty(self.path_of(name))

    def _remove_empty(self, path: str) -> None:
        with contextlib.suppress(OSError):  # not empty, or gone
            self.store.rmdir(path)

    def find_missing_folders(self, name: str) -> list[str]:
        """Climbs to the first folder that is there."""
        missing, path = [], self.path_of(name)
        while not os.path.lexists(path):
            missing.append(path)
            path = os.path.dirname(path)
        return missing

    def sync(self, *names: str) -> None:
        """Files, and the folders from them up to this one."""
        if os.name == "posix":
            _sync_files(self.root, list(map(self.path_of, names)))

    def check_writable(self, name: str) -> None:
        """Removes the folders that it had to make, too."""
        made = self.find_missing_folders(name)
        try:
            super().check_writable(name)
        finally:
            remove_empty(*made)

    def _put(self, name: str, data: bytes, scratch: str, *, is_new: bool) -> None:
        with self.open_new(scratch) as target:
            target.write(data)
            target.flush()
            os.fsync(target.fileno())
        if is_new:
            self.move_new(scratch, name)
        else:
            os.replace(self.path_of(scratch), self.path_of(name))


@contextlib.contextmanager
def _hold_lock(store: LocalFileSystem, path: str) -> Iterator[None]:
    lock = FileLock(path)
    _make_in_folder(store, path, functools.partial(_acquire, lock))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # who waits for it finds it gone, and makes it anew
            os.unlink(path)
        lock.release()


def _has_locks(path: str) -> bool:
    """Whether the disk of an absolute path has locks, by the nearest folder that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    try:
        opened = os.open(path, os.O_RDONLY)
    except OSError:  # it may be written, and not be read
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _WITHOUT_LOCKS
    finally:
        os.close(opened)
    return True


def _acquire(lock: FileLock) -> None:
    try:
        lock.acquire(poll_interval=_POLL_S)
    except FileExistsError as error:  # its folder went while it was made
        raise FileNotFoundError(lock.lock_file) from error
    except NotImplementedError:  # older versions of filelock say so of a disk without locks
        return
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise


def _make_in_folder(
    store: LocalFileSystem, path: str, operation: Callable[[], _ResultT]
) -> _ResultT:
    """Does what makes a file; the file's folders are made first.

    Another program may find them empty, and remove them, before the file is there.
    """
    folder = os.path.dirname(path)
    for _ in range(_FOLDER_TRIES):
        # `makedirs` says that a folder exists if it is taken away while being looked at.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            store.makedirs(folder, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            return operation()
    store.makedirs(folder, exist_ok=True)
    return operation()


def _link_new(store: LocalFileSystem, source: str, target: str) -> None:
    """Moves a file in one step to a place where there is nothing.

    Raises:
        FileExistsError: there is something; it was left as it is.
    """
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


def _sync_files(top: str, paths: Sequence[str]) -> None:
    top = top.rstrip("/")
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


def remove_empty(*paths: str) -> None:
    """Removes folders of this machine that are empty, in the order given."""
    for path in paths:
        with contextlib.suppress(OSError):  # not empty, or gone
            os.rmdir(path)
