"""Stretches of objects of one store, many in flight, each within limits of time.

A connection that says nothing is given up by the store's client: of a bucket after two seconds at
an object's first three tries, four at its fourth, and `ReadOptions.timeout_s` later, which none
exceeds; two tries later while the bucket answers others. One that answers at all nearly always does
so sooner; one that lost a request does when it is asked again. One that drips is given up here:
what is asked for together has the time that its bytes take at 128 KiB/s, all in all, because it
shares one link. What is asked for again, alone, has the time of a batch of its kind: others are on
the link meanwhile.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.asyn import sync

from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import Sleep
from imgcls_beam.reading.gate import Gate
from imgcls_beam.reading.shared_reads import Result
from imgcls_beam.stores import Patience, ask, bear_silence, find_limit_s

RangeAnswers = Sequence[bytes | BaseException]

_FIRST_SILENCES_S = (2.0, 2.0, 2.0, 4.0)
"""Of the first tries; and …"""
_ANSWERING_SILENCES_S = (2.0, 2.0, 2.0, 2.0, 2.0, 4.0)
"""… where the store answers others meanwhile: it is not slow, and loses requests."""


def _forget(result: Result) -> None:
    del result


@dataclasses.dataclass(frozen=True, slots=True)
class Asking:
    """How objects are asked for.

    Attributes:
        options: the limits.
        gate: what lets requests in.
        sleep: waits before other tries, in the threads of several objects at once.
        conclude: is told what became of each object that was asked for again, in its thread; what
            it raises is raised where that is awaited.
        tries: which try this is, from 1.
        is_answering: whether the store is known to answer others lately.
    """

    options: ReadOptions
    gate: Gate
    sleep: Sleep = time.sleep
    conclude: Callable[[Result], None] = _forget
    tries: int = 1
    is_answering: bool = False

    @classmethod
    def alone(cls, options: ReadOptions, sleep: Sleep = time.sleep) -> "Asking":
        """Of one batch, whose requests nobody else limits."""
        return cls(options, Gate(options.concurrency), sleep)

    def bear_silence(self) -> contextlib.AbstractContextManager[None]:
        """Requests that are made meanwhile are given up after the silence of this try."""
        firsts_s = _ANSWERING_SILENCES_S if self.is_answering else _FIRST_SILENCES_S
        return bear_silence(min([self.options.timeout_s, *firsts_s[self.tries - 1 : self.tries]]))


def patience_of(options: ReadOptions) -> Patience:
    """For objects: a request is made once, because `read_images` counts the tries."""
    return Patience(
        tries=1,
        connect_s=min(Patience().connect_s, options.timeout_s),
        silence_s=options.timeout_s,
        request_s=4 * options.timeout_s,
        sharing=options.concurrency,
    )


def ask_ranges(
    store: AbstractFileSystem,
    paths: list[str],
    starts: list[int | None],
    ends: list[int],
    asking: Asking,
) -> RangeAnswers:
    """An answer for each path; where a client gives up all of them for one, each is asked alone."""
    if store.async_impl:
        return _ask_together(store, paths, starts, ends, asking)
    got = ask(lambda: store.cat_ranges(paths, starts, ends, on_error="return"))
    if not isinstance(got, Exception):
        return list(got)
    if len(paths) == 1:
        return [got]
    alone = zip(paths, starts, ends, strict=True)
    return [ask_ranges(store, [path], [start], [end], asking)[0] for path, start, end in alone]


def _ask_together(
    store: Any,  # noqa: ANN401  an AsyncFileSystem
    paths: list[str],
    starts: list[int | None],
    ends: list[int],
    asking: Asking,
) -> RangeAnswers:
    limit_s = _find_limit_s(sum(ends) - sum(start or 0 for start in starts), asking)
    is_again = asking.tries > 1

    async def ask_each() -> RangeAnswers:
        async def ask_one(path: str, start: int | None, end: int) -> bytes:
            async with asking.gate.enter(is_again=is_again):
                reading = store._cat_file(path, start=start, end=end)
                data: bytes = await asyncio.wait_for(reading, limit_s)
                return data

        asked = map(ask_one, paths, starts, ends)
        return await asyncio.gather(*asked, return_exceptions=True)

    answers: RangeAnswers = sync(store.loop, ask_each)
    return answers


def _find_limit_s(size_bytes: int, asking: Asking) -> float:
    options = asking.options
    if asking.tries > 1:
        size_bytes = max(size_bytes, min(options.concurrency * size_bytes, options.batch_bytes))
    return find_limit_s(options.timeout_s + Patience().connect_s, size_bytes)
