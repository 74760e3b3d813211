"""Memory that a decode child shares with its starter, as the child sees it."""

import ctypes
import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from imgcls_beam.elements import Pixels
from imgcls_beam.sandbox.kernel_calls import map_shared, unmap_shared


class ChildMemory:
    """One slot: it holds encoded images, and then in their place what was made of them.

    Attributes:
        size_bytes: as much of it as is mapped.
    """

    def __init__(self, descriptor: int) -> None:
        """Maps nothing yet.

        Args:
            descriptor: of a file of memory, which only the starter can make larger.
        """
        self.size_bytes = 0
        self._descriptor = descriptor
        self._address = 0

    def grow(self, size_bytes: int) -> None:
        """Maps more of it, where there is more."""
        if size_bytes <= self.size_bytes:
            return
        if self._address:
            unmap_shared(self._address, self.size_bytes)
            self._address, self.size_bytes = 0, 0
        self._address = map_shared(self._descriptor, size_bytes)
        self.size_bytes = size_bytes

    def read(self, lengths: Sequence[int]) -> list[bytes]:
        """Copies what lies in it from its beginning, one piece behind the other."""
        starts = itertools.accumulate(lengths, initial=self._address)
        return list(map(ctypes.string_at, starts, lengths))

    def write(self, arrays: Iterable[Pixels]) -> None:
        """Writes arrays of uint8, one behind the other."""
        if not self.size_bytes:
            return
        whole = (ctypes.c_uint8 * self.size_bytes).from_address(self._address)
        at, target = 0, np.frombuffer(memoryview(whole).cast("B"), np.uint8)
        for each in arrays:
            target[at : at + each.nbytes] = each.reshape(-1)
            at += each.nbytes
