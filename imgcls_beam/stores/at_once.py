"""Requests of one kind, many at once: a store that is far away answers 32 as fast as one."""

import concurrent.futures
import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

_ItemT = TypeVar("_ItemT")
_ResultT = TypeVar("_ResultT")

AT_ONCE = 32
"""Of a process, whichever thread asks."""

_SLOTS = threading.BoundedSemaphore(AT_ONCE)


def run_at_once(
    operation: Callable[[_ItemT], _ResultT], items: Sequence[_ItemT], at_once: int = AT_ONCE
) -> list[_ResultT]:
    """The operation on each item, several at once.

    Where one fails no other is begun, and those that have begun are waited for: when this raises,
    nothing goes on. The same holds for an interrupt.

    Args:
        operation: does not call this function itself.
        items: a thread takes the next one when it is free.
        at_once: 1 does all of it in this thread, one after the other.

    Returns:
        The results in the order of the items.

    Raises:
        Exception: what the operation raised; where several failed, what one of them did.
    """
    if at_once == 1 or len(items) < 2:
        return list(map(operation, items))
    queue = _Queue(operation, items)
    threads = min(at_once, len(items))
    with concurrent.futures.ThreadPoolExecutor(threads, "imgcls-store") as pool:
        contexts = [contextvars.copy_context() for _ in range(threads)]
        working = [pool.submit(each.run, queue.work) for each in contexts]
        try:
            concurrent.futures.wait(working)
        finally:
            queue.is_over = True
    for each in working:
        each.result()
    return [queue.results[index] for index in range(len(items))]


class _Queue(Generic[_ItemT, _ResultT]):
    """Items that several threads work through."""

    def __init__(self, operation: Callable[[_ItemT], _ResultT], items: Sequence[_ItemT]) -> None:
        self._operation = operation
        self._items = items
        self._lock = threading.Lock()
        self._indices: Iterator[int] = iter(range(len(items)))
        self.is_over = False
        self.results: dict[int, _ResultT] = {}

    def work(self) -> None:
        """Takes one item after the other, until there is none left or one has failed."""
        is_well = False
        try:
            while (index := self._take()) is not None:
                with _SLOTS:
                    self.results[index] = self._operation(self._items[index])
            is_well = True
        finally:
            self.is_over |= not is_well

    def _take(self) -> int | None:
        with self._lock:
            return None if self.is_over else next(self._indices, None)
