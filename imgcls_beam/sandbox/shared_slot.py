"""Memory that a decode child shares with its starter, as the starter sees it."""

import fcntl
import mmap
import os
from collections.abc import Sequence

_STEP_BYTES = 1 << 20
_KEPT_BYTES = 8 << 20
"""Of a slot that held more, the memory is given back: a photograph in full is 36 MB."""


class SharedSlot:
    """Images on their way: encoded bytes go in, what is made of them comes out at the same place.

    It lies in memory that has no name. A child can make it neither smaller, which would end who
    reads it, nor larger.

    Attributes:
        descriptor: for the child.
        size_bytes: as large as it may be used.
    """

    def __init__(self) -> None:
        """Makes an empty one.

        Raises:
            OSError: the system has no such memory left; AttributeError: it has none at all.
        """
        self.size_bytes = 0
        self.descriptor = os.memfd_create("imgcls-decode", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self._mapped: mmap.mmap | None = None

    def grow(self, size_bytes: int) -> None:
        """Makes room for so many bytes; what was in it stays.

        Raises:
            OSError: there is no memory.
        """
        if size_bytes <= self.size_bytes:
            return
        size_bytes = -(-size_bytes // _STEP_BYTES) * _STEP_BYTES
        os.ftruncate(self.descriptor, size_bytes)
        if self._mapped is not None:
            self._mapped.close()
        self._mapped = mmap.mmap(self.descriptor, size_bytes)
        self.size_bytes = size_bytes

    def put(self, images: Sequence[bytes]) -> None:
        """Writes encoded images, one behind the other."""
        self.grow(max(1, sum(map(len, images))))
        assert self._mapped is not None
        start = 0
        for data in images:
            end = start + len(data)
            self._mapped[start:end] = data
            start = end

    def take(self, start: int, length: int) -> bytes:
        """Copies out what the child wrote.

        Raises:
            ValueError: there is not so much.
        """
        if self._mapped is None or not 0 <= start <= start + length <= self.size_bytes:
            raise ValueError("more than there is")
        return self._mapped[start : start + length]

    def rest(self) -> None:
        """Gives back memory that most images do not need."""
        if self._mapped is not None and self.size_bytes > _KEPT_BYTES:
            self._mapped.madvise(mmap.MADV_REMOVE, 0, self.size_bytes)

    def close(self) -> None:
        """Gives everything back."""
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None
        os.close(self.descriptor)
