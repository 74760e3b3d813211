"""How many requests are let in at once, and which of those that wait come first."""

import asyncio
import concurrent.futures
from collections.abc import Coroutine
from typing import Any

from imgcls_beam.reading.gate import Gate


def _run(work: Coroutine[Any, Any, None]) -> None:
    """In a thread: a test of a browser leaves a loop that runs in its own."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def _hold(gate: Gate, name: str, log: list[str], *, is_again: bool) -> None:
    async with gate.enter(is_again=is_again):
        log.append(name)
        await asyncio.sleep(0)
        log.append(f"{name} ended")


def test_no_more_are_in_than_there_are_places_and_all_come_in() -> None:
    now = most = done = 0

    async def hold(gate: Gate) -> None:
        nonlocal now, most, done
        async with gate.enter(is_again=done % 2 == 1):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1
            done += 1

    async def hold_all() -> None:
        gate = Gate(3)
        await asyncio.gather(*(hold(gate) for _ in range(20)))

    _run(hold_all())
    assert (most, now, done) == (3, 0, 20)


def test_what_is_asked_for_again_comes_in_before_what_is_new_and_else_who_came_first() -> None:
    log: list[str] = []

    async def hold_all() -> None:
        gate = Gate(1)
        await asyncio.gather(
            _hold(gate, "first", log, is_again=False),
            _hold(gate, "new", log, is_again=False),
            _hold(gate, "newer", log, is_again=False),
            _hold(gate, "again", log, is_again=True),
            _hold(gate, "again too", log, is_again=True),
        )

    _run(hold_all())
    assert log[::2] == ["first", "again", "again too", "new", "newer"]
    assert log[1::2] == [f"{name} ended" for name in log[::2]]


def test_a_place_of_one_that_was_cancelled_or_failed_goes_to_the_next() -> None:
    log: list[str] = []

    async def fail(gate: Gate) -> None:
        async with gate.enter(is_again=False):
            await asyncio.sleep(0)
            raise ValueError

    async def hold_all() -> None:
        gate = Gate(1)
        failing = asyncio.create_task(fail(gate))
        waiting = asyncio.create_task(_hold(gate, "cancelled", log, is_again=False))
        last = asyncio.create_task(_hold(gate, "last", log, is_again=False))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(failing, waiting, return_exceptions=True)
        await asyncio.wait_for(last, 20)
        async with gate.enter(is_again=False):
            given = asyncio.create_task(_hold(gate, "given", log, is_again=False))
            await asyncio.sleep(0)
        given.cancel()  # the place is its own by now, and it has not gone on
        await asyncio.gather(given, return_exceptions=True)
        await asyncio.wait_for(_hold(gate, "after", log, is_again=False), 20)

    _run(hold_all())
    assert log == ["last", "last ended", "after", "after ended"]
