"""A set of digests whose memory does not grow: the first ones in a table, all others on disk."""

import contextlib
import pathlib
import sqlite3
import tempfile
from types import TracebackType

_KEPT_DIGESTS = 1 << 14
"""In memory, about 1.5 MB: most sets end before it, and need no file."""
_CACHE_KIB = 16 << 10
_FIND = "SELECT 1 FROM seen WHERE digest = ?"
_ADD = "INSERT OR IGNORE INTO seen VALUES (?)"


class Distinct:
    """A set of digests; a context manager, whose temporary file is gone when it is left.

    Not safe to share between threads.
    """

    def __init__(self) -> None:
        """An empty set; no file is made yet."""
        self._kept: set[bytes] = set()
        self._resources = contextlib.ExitStack()
        self._disk: sqlite3.Connection | None = None

    def __enter__(self) -> "Distinct":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kept.clear()
        self._disk = None
        self._resources.close()

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
        return self._disk.execute(_ADD, (digest,)).rowcount == 1

    def __contains__(self, digest: bytes) -> bool:
        if digest in self._kept:
            return True
        if self._disk is None:
            return False
        return self._disk.execute(_FIND, (digest,)).fetchone() is not None

    def _open_disk(self) -> sqlite3.Connection:
        """One transaction that is never committed: the table is worth nothing after this."""
        folder = self._resources.enter_context(
            tempfile.TemporaryDirectory(prefix="imgcls-", ignore_cleanup_errors=True)
        )
        path = pathlib.Path(folder) / "seen"
        # A generator may be closed by another thread than the one that began it.
        disk = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._resources.callback(disk.close)
        for pragma in (
            *("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE"),
            f"cache_size=-{_CACHE_KIB}",
        ):
            disk.execute(f"PRAGMA {pragma}")
        disk.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        disk.execute("BEGIN")
        return disk
