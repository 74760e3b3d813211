"""Memory that the threads of a process share: who wants some of it waits for its turn."""

import collections
import threading
from types import TracebackType
from typing import Self


class ByteBudget:
    """So many bytes; they are lent in the order in which they were asked for.

    Whoever wants more than there is gets it when nothing is lent: one always goes.
    """

    def __init__(self, limit_bytes: int) -> None:
        """Nothing is lent yet."""
        self.limit_bytes = limit_bytes
        self._changed = threading.Condition()
        self._lent_bytes = 0
        self._waiting: collections.deque[object] = collections.deque()

    @property
    def lent_bytes(self) -> int:
        """What is lent now."""
        return self._lent_bytes

    def take(self, size_bytes: int) -> None:
        """Waits until so many bytes are there, and takes them.

        Who holds some gives them back before it asks for more: two of them would wait for ever.
        """
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                while self._waiting[0] is not turn or not self._has(size_bytes):
                    self._changed.wait()
                self._lent_bytes += size_bytes
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()

    def try_to_take(self, size_bytes: int) -> bool:
        """Takes so many bytes if they are there, and nobody waits for them."""
        with self._changed:
            if self._waiting or not self._has(size_bytes):
                return False
            self._lent_bytes += size_bytes
            return True

    def give_back(self, size_bytes: int) -> None:
        """Gives back what was taken, or a part of it."""
        with self._changed:
            self._lent_bytes -= size_bytes
            self._changed.notify_all()

    def _has(self, size_bytes: int) -> bool:
        return not self._lent_bytes or self._lent_bytes + size_bytes <= self.limit_bytes


class Loan:
    """What one image has of a budget; it may become more, and goes back as a whole.

    A context manager, which gives it back.
    """

    def __init__(self, budget: ByteBudget) -> None:
        """Nothing yet."""
        self._budget = budget
        self._size_bytes = 0

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends it."""
        self.end()

    def raise_to(self, size_bytes: int) -> None:
        """Has so many bytes, unless it has more: it gives back what it has, and waits for all."""
        if size_bytes > self._size_bytes:
            self.end()
            self._budget.take(size_bytes)
            self._size_bytes = size_bytes

    def end(self) -> None:
        """Gives everything back."""
        size_bytes, self._size_bytes = self._size_bytes, 0
        if size_bytes:
            self._budget.give_back(size_bytes)
