"""Images of the same bytes are decoded once, where they are near each other."""

import collections
import concurrent.futures
import dataclasses
import threading
import zlib
from collections.abc import Callable

from imgcls_beam.elements import EncodedImage, Failure, PixelArray

Prepared = tuple[PixelArray | Failure, ...]
"""What one image is for each of several models."""

_KEPT_IMAGES = 64
_KEPT_BYTES = 32 << 20
_SUMMED_BYTES = 16 << 10
"""At the end of an image: that tells most from each other, and those of one sum are compared."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    data: bytes
    prepared: concurrent.futures.Future[Prepared]


class SharedPixels:
    """Prepares images; the last ones are kept, for others of the same bytes.

    It is called by several threads: where two images of the same bytes come at once, the second
    waits for the first.
    """

    def __init__(self, prepare: Callable[[EncodedImage], Prepared]) -> None:
        """Takes what prepares one image."""
        self._prepare = prepare
        self._lock = threading.Lock()
        self._entries: collections.OrderedDict[tuple[int, int], _Entry] = collections.OrderedDict()
        self._size_bytes = 0

    def prepare(self, image: EncodedImage) -> Prepared:
        """Prepares an image, or takes what was prepared for the same bytes."""
        key = len(image.data), zlib.crc32(image.data[-_SUMMED_BYTES:])
        with self._lock:
            found = self._entries.get(key)
            if found is not None and found.data != image.data:
                found = None
            entry = found or self._add(key, image)
        if found is not None:
            return tuple(_give_to(image, each) for each in found.prepared.result())
        try:
            prepared = self._prepare(image)
        except BaseException as error:
            entry.prepared.set_exception(error)
            raise
        entry.prepared.set_result(prepared)
        return prepared

    def _add(self, key: tuple[int, int], image: EncodedImage) -> _Entry:
        if key in self._entries:  # of other bytes that have the same sum
            self._remove(key)
        while len(self._entries) >= _KEPT_IMAGES or self._size_bytes > _KEPT_BYTES:
            self._remove(next(iter(self._entries)))
        entry = _Entry(image.data, concurrent.futures.Future())
        self._entries[key] = entry
        self._size_bytes += len(image.data)
        return entry

    def _remove(self, key: tuple[int, int]) -> None:
        self._size_bytes -= len(self._entries.pop(key).data)


def _give_to(image: EncodedImage, prepared: PixelArray | Failure) -> PixelArray | Failure:
    """What another image of the same bytes is; it took no time."""
    if isinstance(prepared, Failure):
        return dataclasses.replace(prepared, ref=image.ref, tries=image.tries)
    return dataclasses.replace(prepared, ref=image.ref, prepare_ms=0.0)
