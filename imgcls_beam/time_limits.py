"""Calls of others that may never come back, and how long they are waited for."""

import concurrent.futures
import threading
from collections.abc import Callable
from typing import TypeVar

_AnswerT = TypeVar("_AnswerT")


def ask_aside(
    ask: Callable[[], _AnswerT], name: str = "imgcls-ask"
) -> "concurrent.futures.Future[_AnswerT]":
    """A call in a thread of its own, which ends with the process at the latest.

    Args:
        ask: what it raises is raised where its answer is awaited.
        name: of the thread.
    """
    answer: concurrent.futures.Future[_AnswerT] = concurrent.futures.Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001  it is raised where the answer is awaited
            answer.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer


def ask_within(limit_s: float, ask: Callable[[], _AnswerT]) -> _AnswerT:
    """What a call gives or raises, if it comes back in time; else it is left to itself.

    Args:
        limit_s: seconds that it is waited for.
        ask: see `ask_aside`.

    Raises:
        TimeoutError: it has not come back.
    """
    return ask_aside(ask).result(limit_s)
