"""Stretches of objects of one store, many in flight, each within a limit of time.

A connection that says nothing for `ReadOptions.timeout_s` is given up by the store's client. One
that drips is given up here: what is asked for together has the time that its bytes take at 128
KiB/s, all in all, because it shares one link. What failed is asked for again without the rest, and
so gets less time.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.asyn import sync

from imgcls_beam.options import ReadOptions
from imgcls_beam.stores import Patience, ask, find_limit_s

RangeAnswers = Sequence[bytes | BaseException]


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
    options: ReadOptions,
) -> RangeAnswers:
    """An answer for each path; where a client gives up all of them for one, each is asked alone."""
    if store.async_impl:
        return _ask_together(store, paths, starts, ends, options)
    got = ask(lambda: store.cat_ranges(paths, starts, ends, on_error="return"))
    if not isinstance(got, Exception):
        return list(got)
    if len(paths) == 1:
        return [got]
    alone = zip(paths, starts, ends, strict=True)
    return [ask_ranges(store, [path], [start], [end], options)[0] for path, start, end in alone]


def _ask_together(
    store: Any,  # noqa: ANN401  an AsyncFileSystem
    paths: list[str],
    starts: list[int | None],
    ends: list[int],
    options: ReadOptions,
) -> RangeAnswers:
    size_bytes = sum(ends) - sum(start or 0 for start in starts)
    limit_s = find_limit_s(options.timeout_s + Patience().connect_s, size_bytes)

    async def ask_each() -> RangeAnswers:
        gate = asyncio.Semaphore(options.concurrency)

        async def ask_one(path: str, start: int | None, end: int) -> bytes:
            async with gate:
                reading = store._cat_file(path, start=start, end=end)
                data: bytes = await asyncio.wait_for(reading, limit_s)
                return data

        asked = map(ask_one, paths, starts, ends)
        return await asyncio.gather(*asked, return_exceptions=True)

    answers: RangeAnswers = sync(store.loop, ask_each)
    return answers
