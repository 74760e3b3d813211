"""Requests of a program that was interrupted: its person waits, and its store may be away.

It goes with the context, as `bear_silence` does, so threads of the run that still work are not
concerned.
"""

import asyncio
import contextlib
import contextvars
import dataclasses
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from imgcls_beam.stores.client_faults import FaultKind, kind_of

_AnswerT = TypeVar("_AnswerT")

HASTE_S = 10.0
"""For all requests together that get no answer."""


@dataclasses.dataclass(slots=True)
class Haste:
    """How long requests may still take that get no answer, all of them together.

    Attributes:
        left_s: infinite where nobody is in haste.
    """

    left_s: float = math.inf

    @property
    def is_on(self) -> bool:
        """Whether requests are made in haste now."""
        return self.left_s < math.inf

    async def ask_once(self, request: Callable[[], Awaitable[_AnswerT]]) -> _AnswerT:
        """Makes a request once.

        Raises:
            TimeoutError: there was no answer in the time that is left.
            Exception: what the request raised.
        """
        began_s = time.monotonic()
        try:
            return await asyncio.wait_for(request(), max(self.left_s, 0.0))
        except Exception as error:
            if kind_of(error) is FaultKind.UNREACHABLE:
                self.left_s -= time.monotonic() - began_s
            raise


_haste: contextvars.ContextVar[Haste | None] = contextvars.ContextVar("haste", default=None)


@contextlib.contextmanager
def share_haste() -> Iterator[None]:
    """One time for all of this block that is hastened; what comes after it is hastened, too."""
    token = _haste.set(Haste())
    try:
        yield
    finally:
        _haste.reset(token)


@contextlib.contextmanager
def hasten(limit_s: float = HASTE_S) -> Iterator[None]:
    """Requests that are made meanwhile are tried once, and are not waited for any longer.

    Args:
        limit_s: seconds for all of them together that get no answer.
    """
    shared = _haste.get()
    if shared is not None:
        shared.left_s = min(shared.left_s, limit_s)
        yield
        return
    token = _haste.set(Haste(limit_s))
    try:
        yield
    finally:
        _haste.reset(token)


def find_haste() -> Haste:
    """Of this context."""
    return _haste.get() or Haste()
