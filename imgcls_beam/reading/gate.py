"""How many requests are in flight, of all batches that share a gate."""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator


class Gate:
    """So many at once. What is asked for again comes in before what is asked for the first time.

    So a batch that only waits for a few of its objects gives its places to the next, and a try of
    these few does not wait behind all that is new. It is entered in one event loop: fsspec has one
    for all of its stores.
    """

    def __init__(self, at_once: int) -> None:
        """Nothing is in flight yet."""
        self._free = at_once
        self._again: collections.deque[asyncio.Future[None]] = collections.deque()
        self._first: collections.deque[asyncio.Future[None]] = collections.deque()

    @contextlib.asynccontextmanager
    async def enter(self, *, is_again: bool) -> AsyncIterator[None]:
        """Waits for a place, and has it for as long as this lasts."""
        await self._take(self._again if is_again else self._first)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, waiting: "collections.deque[asyncio.Future[None]]") -> None:
        if self._free:  # then nobody waits
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place was given to it meanwhile
                self._give_back()
            raise

    def _give_back(self) -> None:
        """To whoever waits; one that was cancelled does not."""
        for waiting in (self._again, self._first):
            while waiting:
                turn = waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1
