"""The lock of a run, on a local disk."""

import contextlib
import errno
import functools
import os
from collections.abc import Iterator

from filelock import FileLock
from fsspec.implementations.local import LocalFileSystem

from imgcls_beam.stores import file_operations

_POLL_S = 0.02
_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def hold_lock(url: str) -> Iterator[None]:
    """Lets in one program of this machine at a time; the lock of a killed program is free.

    Only local disks have such locks; elsewhere, and on disks without locks, this does nothing.
    """
    store, path = file_operations.resolve(url)
    if not isinstance(store, LocalFileSystem):
        yield
        return
    lock = FileLock(path)
    file_operations.make_in_folder(store, path, functools.partial(_acquire, lock))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # who waits for it finds it gone, and makes it anew
            os.unlink(path)
        lock.release()


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
