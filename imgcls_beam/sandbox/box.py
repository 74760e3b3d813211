"""The decode box of this process: its children, who is in which, and what becomes of the dead."""

import atexit
import contextlib
import os
import threading
from collections.abc import Iterator
from typing import TypeVar

from imgcls_beam.sandbox.child_lines import SLOTS
from imgcls_beam.sandbox.child_process import (
    ChildEndedError,
    DecodeChild,
    Ending,
    Errand,
    Take,
)

_ResultT = TypeVar("_ResultT")

START_FAULTS = (OSError, AttributeError, ChildEndedError)
"""Why no child can be started: no program, no processes, no memory to share, an old kernel."""


class DecodeBox:
    """Children, at most one a core, each started when there is work for it.

    Several threads use it. A child that died is left out, and another one takes its place.
    """

    def __init__(self, memory_bytes: int, children: int) -> None:
        """Starts nothing yet.

        Args:
            memory_bytes: of its own that each child may have.
            children: how many there may be.
        """
        self._memory_bytes = memory_bytes
        self._most = children
        self._changed = threading.Condition()
        self._free: dict[DecodeChild, set[int]] = {}
        self._dead: dict[DecodeChild, set[int]] = {}
        self._starting = 0
        self._fault: BaseException | None = None
        self._owner = os.getpid()
        atexit.register(self.close)

    def start_first(self) -> None:
        """Starts a child in the background, unless there is one."""
        with self._changed:
            if not self._free and not self._starting:
                self._start_another()

    def find_locks(self) -> tuple[str, ...]:
        """The locks that hold in its children; waits for the first of them.

        Raises:
            OSError: none can be started; AttributeError and ChildEndedError likewise.
        """
        self.start_first()
        with self._changed:
            while not self._free:
                self._check_starting()
                self._changed.wait()
            return next(iter(self._free)).held

    def run(self, errand: Errand, take: Take[_ResultT]) -> _ResultT:
        """Has one image decoded.

        If the child dies the image is tried once more, first and alone in a fresh child, whichever
        image the old one died of. Only what took too long is known at once, by the clock.

        Args:
            errand: the image, and what is wanted.
            take: see `DecodeChild.ask`.

        Raises:
            ChildEndedError: of this image.
            OSError: no child can be started any more; AttributeError likewise.
        """
        try:
            return self.try_once(errand, take)
        except ChildEndedError as error:
            if error.ending is Ending.OVERDUE:
                raise
        alone = self._start_alone()
        try:
            result = alone.ask(0, errand, take)
        except BaseException:
            alone.close()
            raise
        self._adopt(alone)
        return result

    def try_once(self, errand: Errand, take: Take[_ResultT]) -> _ResultT:
        """Has images decoded, where it is not asked which of them a child died of.

        Args:
            errand: the images, and what is wanted.
            take: see `DecodeChild.ask`.

        Raises:
            ChildEndedError: of one of these images, or of one that the child had beside them.
            OSError: no child can be started any more; AttributeError likewise.
        """
        with self._lease() as (child, slot):
            try:
                return child.ask(slot, errand, take)
            except ChildEndedError:
                self._remove(child)
                raise

    def _start_alone(self) -> DecodeChild:
        """A fresh child; that it cannot be started is no fault of an image."""
        try:
            return DecodeChild(self._memory_bytes)
        except ChildEndedError as ended:
            raise OSError(f"a decode child ended before it was ready ({ended.how})") from ended

    def rest(self) -> None:
        """Has its children give back memory that they keep: one of them needs much."""
        with self._changed:
            children = list(self._free)
        for each in children:
            each.rest()

    def close(self) -> None:
        """Ends all children; a process that was forked from this one's has none."""
        if self._owner != os.getpid():
            return
        with self._changed:
            children = [*self._free, *self._dead]
        for each in children:
            each.end()

    @contextlib.contextmanager
    def _lease(self) -> Iterator[tuple[DecodeChild, int]]:
        """A child and a slot in it, for one message."""
        with self._changed:
            while (found := self._choose()) is None:
                self._changed.wait()
                self._check_starting()
            child, slot = found, self._free[found].pop()
        try:
            yield child, slot
        finally:
            self._give_back(child, slot)

    def _choose(self) -> DecodeChild | None:
        """The child with most free slots; where none is idle another one is started, too."""
        child = max(self._free, key=lambda each: len(self._free[each]), default=None)
        is_idle = child is not None and len(self._free[child]) == SLOTS
        if not is_idle and len(self._free) + self._starting < self._most:
            self._start_another()
        return child if child is not None and self._free[child] else None

    def _start_another(self) -> None:
        self._starting += 1
        self._fault = None
        threading.Thread(target=self._start, name="imgcls-box", daemon=True).start()

    def _start(self) -> None:
        try:
            child: DecodeChild | None = DecodeChild(self._memory_bytes)
        except BaseException as error:  # noqa: BLE001  it is raised where a child is waited for
            child, self._fault = None, error
        with self._changed:
            self._starting -= 1
            if child is not None:
                self._free[child] = set(range(SLOTS))
            else:  # those that there are have to do
                self._most = max(1, len(self._free))
            self._changed.notify_all()

    def _check_starting(self) -> None:
        """Raises why no child is to be waited for."""
        if not self._free and not self._starting:
            raise self._fault or OSError("no decode child can be started")

    def _remove(self, child: DecodeChild) -> None:
        """Leaves a dead child to those who still use it."""
        with self._changed:
            if child in self._free:
                self._dead[child] = self._free.pop(child)

    def _give_back(self, child: DecodeChild, slot: int) -> None:
        """Takes a slot back; who has the last one of a dead child closes it."""
        with self._changed:
            home = self._free if child in self._free else self._dead
            home[child].add(slot)
            is_last = home is self._dead and len(home[child]) == SLOTS
            if is_last:
                del self._dead[child]
            self._changed.notify()
        if is_last:
            child.close()

    def _adopt(self, child: DecodeChild) -> None:
        """Takes in a child that was started for one image, where one has died."""
        with self._changed:
            is_wanted = len(self._free) + self._starting < self._most
            if is_wanted:
                self._free[child] = set(range(SLOTS))
                self._changed.notify_all()
        if not is_wanted:
            child.close()
