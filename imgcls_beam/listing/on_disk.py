"""What grows with the number of images, kept on disk: a set of digests, and a long stream."""

import contextlib
import hashlib
import pathlib
import pickle
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from typing import TypeVar

ElementT = TypeVar("ElementT")

_KEPT_DIGESTS = 1 << 14
"""In memory, about 1.5 MB: most sets end before it, and need no file."""
_CACHE_KIB = 16 << 10
# One transaction that is never committed: the table is worth nothing after this.
_MAKE = f"""
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;
PRAGMA cache_size=-{_CACHE_KIB};
CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID;
BEGIN
"""


def uri_digest(uri: str) -> bytes:
    """16 bytes that stand for a URI; it may hold what UTF-8 cannot (undecodable file names)."""
    return hashlib.blake2b(uri.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Distinct(contextlib.ExitStack):
    """A set of digests; a context manager, whose temporary file is gone when it is left.

    The first digests are in memory and all others on disk. Not safe to share between threads.
    """

    def __init__(self) -> None:
        """An empty set; no file is made yet."""
        super().__init__()
        self._kept: set[bytes] = set()
        self._disk: sqlite3.Connection | None = None

    def add(self, digest: bytes) -> bool:
        """Adds a digest.

        Returns:
            Whether it is new.
        """
        if digest in self._kept:
            return False
        if len(self._kept) < _KEPT_DIGESTS:
            self._kept.add(digest)
            return True
        if self._disk is None:
            self._disk = self._open_disk()
        return self._disk.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount == 1

    def __contains__(self, digest: bytes) -> bool:
        if digest in self._kept or self._disk is None:
            return digest in self._kept
        found = self._disk.execute("SELECT 1 FROM seen WHERE digest = ?", (digest,))
        return found.fetchone() is not None

    def _open_disk(self) -> sqlite3.Connection:
        temporary = tempfile.TemporaryDirectory(prefix="imgcls-", ignore_cleanup_errors=True)
        path = pathlib.Path(self.enter_context(temporary)) / "seen"
        # A generator may be closed by another thread than the one that began it.
        disk = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.callback(disk.close)
        disk.executescript(_MAKE)
        return disk


def spool(elements: Iterable[ElementT]) -> Iterator[ElementT]:
    """Takes every element, then gives them again in order; memory holds one at a time.

    The temporary file is gone when the iterator is.
    """
    with tempfile.TemporaryFile(prefix="imgcls-") as file:
        count = 0
        for element in elements:
            pickle.dump(element, file, pickle.HIGHEST_PROTOCOL)
            count += 1
        file.seek(0)
        for _ in range(count):
            yield pickle.load(file)
