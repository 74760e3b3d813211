"""Results that are to come, of objects that are asked for again: given on when they are there."""

import concurrent.futures
from collections.abc import Iterator

from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam.board import BOARD
from imgcls_beam.errors import Stage
from imgcls_beam.reading import wait_for


class LateQueue:
    """Those of one bundle, in the order in which they come; not shared between threads."""

    def __init__(self, max_elements: int) -> None:
        """Has none yet; beyond so many it waits for some of them."""
        self._max_elements = max_elements
        self._late: list[WindowedValue] = []

    def add(self, late: WindowedValue) -> None:
        """Takes on a `LateRead`."""
        self._late.append(late)

    def take_due(self) -> Iterator[WindowedValue]:
        """What is there; and more, until what is left is within the limit."""
        yield from self._take_those_there()
        while len(self._late) > self._max_elements:
            yield from self._take_next()

    def take_all(self) -> Iterator[WindowedValue]:
        """Everything, at the end of a bundle."""
        while self._late:
            yield from self._take_next()

    def clear(self) -> None:
        """Forgets what a failed bundle left."""
        self._late.clear()

    def _take_next(self) -> Iterator[WindowedValue]:
        with BOARD.held(Stage.READ):
            concurrent.futures.wait(
                [each.value.answer for each in self._late],
                return_when=concurrent.futures.FIRST_COMPLETED,
            )
        yield from self._take_those_there()

    def _take_those_there(self) -> Iterator[WindowedValue]:
        there: list[WindowedValue] = []
        rest: list[WindowedValue] = []
        for each in self._late:  # asked once each: an answer may come at any moment
            (there if each.value.answer.done() else rest).append(each)
        self._late = rest
        there.reverse()
        while there:  # what was given on is not kept
            late = there.pop()
            result = late.with_value(wait_for(late.value))
            late.value.release()
            yield result
