"""An object as a file that is read by ranges, with the limits and retries of `objects`."""

import io
import time
from collections.abc import Callable, Mapping
from typing import Any

from imgcls_beam.errors import FailureCode
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import changed_object, count_tries, to_image_error
from imgcls_beam.reading.pinning import look_up
from imgcls_beam.reading.store_groups import open_object
from imgcls_beam.stores import updated_at_of, version_of


class RangeFile(io.RawIOBase):
    """A file of which no more is read than is asked for; what goes wrong is an `ImageError`.

    Attributes:
        info: what the store knew of the object when it was opened.
        identity: its version, time and size then; another one is another content.
        tries: how many reads the most stubborn range has taken, from 1.
    """

    def __init__(
        self, uri: str, options: ReadOptions, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        """Looks the object up.

        Raises:
            ImageError: it is not there, or may not be read.
        """
        self._options = options
        self._sleep = sleep
        self._offset = 0
        self.tries = 1
        self._store, self._path = open_object(uri, options)
        self.info: Mapping[str, Any] = self._persist(lambda: look_up(self._store, [self._path])[0])
        self._size_bytes = int(self.info["size"])
        self.identity = (version_of(self.info), updated_at_of(self.info), self._size_bytes)

    def read(self, size: int = -1) -> bytes:
        """Reads so many bytes, fewer only at the end.

        Raises:
            ImageError: the store does not deliver them.
        """
        start = self._offset
        end = self._size_bytes if size < 0 else min(start + size, self._size_bytes)
        if end <= start:
            return b""
        data: bytes = self._persist(
            lambda: self._store.cat_ranges([self._path], [start], [end], on_error="return")[0]
        )
        if len(data) != end - start:
            raise changed_object()
        self._offset = end
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to an offset; nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._size_bytes}[whence]
        self._offset = max(base + offset, 0)
        return self._offset

    def tell(self) -> int:
        """The offset from which is read next."""
        return self._offset

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def _persist(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401  what the store answers
        """Asks again while the fault looks passing.

        Raises:
            ImageError: the fault is none, or does not pass.
        """
        for tries in count_tries(self._options, self._sleep):
            self.tries = max(self.tries, tries)
            answer = ask()
            if not isinstance(answer, BaseException):
                return answer
            error = to_image_error(answer)
            if error.code is not FailureCode.UNAVAILABLE:
                break
        raise error
