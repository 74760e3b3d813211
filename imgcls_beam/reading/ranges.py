"""Stretches of objects of one store, many in flight, each within limits of time.

A connection that says nothing is given up by the store's client after `ReadOptions.timeout_s`. Of a
bucket that answers others at once (`store_health`), and of one that is not known yet, it is given
up after a second at an object's first four tries, after two at the next three and after four at the
eighth: one that lost a request answers when it is asked again. One that drips is given up here:
what is asked for together has the time that its bytes take at 128 KiB/s, all in all, because it
shares one link. What is asked for again, alone, has the time of a batch of its kind: others are on
the link meanwhile.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.asyn import sync

from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.faults import Sleep
from imgcls_beam.reading.gate import Gate
from imgcls_beam.reading.shared_reads import Result
from imgcls_beam.reading.store_health import PROMPT_S, STORE_HEALTH
from imgcls_beam.stores import Patience, ask, bear_silence, find_limit_s, is_passing

RangeAnswers = Sequence[bytes | BaseException]

_FIRST_SILENCES_S = (PROMPT_S,) * 4 + (2.0,) * 3 + (4.0,)
"""Of the first tries, where the store is not known to be slow."""


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
        given_up: takes the URIs of objects whose request was given up early, while nobody knew
            how soon their store answers.
    """

    options: ReadOptions
    gate: Gate
    sleep: Sleep = time.sleep
    conclude: Callable[[Result], None] = _forget
    tries: int = 1
    given_up: set[str] = dataclasses.field(default_factory=set)

    @classmethod
    def alone(cls, options: ReadOptions, sleep: Sleep = time.sleep) -> "Asking":
        """Of one batch, whose requests nobody else limits."""
        return cls(options, Gate(options.concurrency), sleep)

    def bear_silence(self, uri: str) -> contextlib.AbstractContextManager[None]:
        """Requests about an object that are made meanwhile are given up after so long a silence."""
        firsts_s = _FIRST_SILENCES_S[self.tries - 1 : self.tries]
        if STORE_HEALTH.knows(uri) and not STORE_HEALTH.is_prompt(uri):
            firsts_s = ()
        return bear_silence(min([self.options.timeout_s, *firsts_s]))


@dataclasses.dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of an object.

    Attributes:
        uri: of the object.
        path: the same for the client of its store.
        start: of the first byte; None from the beginning.
        end: behind the last byte; there may be fewer.
    """

    uri: str
    path: str
    start: int | None
    end: int

    @property
    def size_bytes(self) -> int:
        """At the most."""
        return self.end - (self.start or 0)


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
    store: AbstractFileSystem, stretches: Sequence[Stretch], asking: Asking
) -> RangeAnswers:
    """An answer for each; where a client gives up all of them for one, each is asked alone."""
    if store.async_impl:
        return _ask_together(store, stretches, asking)
    paths = [each.path for each in stretches]
    starts, ends = [each.start for each in stretches], [each.end for each in stretches]
    got = ask(lambda: store.cat_ranges(paths, starts, ends, on_error="return"))
    if not isinstance(got, Exception):
        return list(got)
    if len(stretches) == 1:
        return [got]
    return [ask_ranges(store, [each], asking)[0] for each in stretches]


def _ask_together(
    store: Any,  # noqa: ANN401  an AsyncFileSystem
    stretches: Sequence[Stretch],
    asking: Asking,
) -> RangeAnswers:
    limit_s = _find_limit_s(sum(each.size_bytes for each in stretches), asking)

    async def ask_one(stretch: Stretch) -> bytes:
        async with asking.gate.enter(is_again=asking.tries > 1):
            with asking.bear_silence(stretch.uri), _noting(stretch, asking):
                reading = store._cat_file(stretch.path, start=stretch.start, end=stretch.end)
                data: bytes = await asyncio.wait_for(reading, limit_s)
                return data

    async def ask_each() -> RangeAnswers:
        return await asyncio.gather(*map(ask_one, stretches), return_exceptions=True)

    answers: RangeAnswers = sync(store.loop, ask_each)
    return answers


@contextlib.contextmanager
def _noting(stretch: Stretch, asking: Asking) -> Iterator[None]:
    """Notes how soon the request that is made meanwhile is answered."""
    was_known = STORE_HEALTH.knows(stretch.uri)
    began_s, is_answer = time.monotonic(), True
    try:
        yield
    except Exception as error:
        is_answer = not is_passing(error)
        raise
    finally:
        took_s = time.monotonic() - began_s
        is_prompt = is_answer and took_s <= find_limit_s(PROMPT_S, stretch.size_bytes)
        STORE_HEALTH.note(stretch.uri, is_prompt=is_prompt)
        if not is_answer and not was_known and took_s >= PROMPT_S:
            asking.given_up.add(stretch.uri)


def _find_limit_s(size_bytes: int, asking: Asking) -> float:
    options = asking.options
    if asking.tries > 1:
        size_bytes = max(size_bytes, min(options.concurrency * size_bytes, options.batch_bytes))
    return find_limit_s(options.timeout_s + Patience().connect_s, size_bytes)
