"""How far a job is that a service runs: by the engine's own counters, or else by its state."""

import argparse
import contextlib
import copy
import functools
import threading
from collections.abc import Iterator

from apache_beam.runners.runner import PipelineResult

from imgcls_beam.metrics import read_progress
from imgcls_beam.time_limits import ask_within

from .far_jobs import Watch, read_state

_ASK_S, _ANSWER_S = 2.0, 10.0
"""Between two questions, and for an answer."""


@contextlib.contextmanager
def follow_job(seen: argparse.Namespace) -> Iterator[Watch]:
    """Asks a service now and then how far its job is, from when that is told until the end.

    Args:
        seen: gets `state`, in Beam's words, and `counted`, a `Progress`, as soon as they are known.
    """
    is_done = threading.Event()

    def ask(result: PipelineResult) -> None:
        while not is_done.wait(_ASK_S):
            one = copy.copy(result)  # it keeps what it was told, and who waits for it looks at that
            seen.state = read_state(one)
            with contextlib.suppress(Exception):  # not every service can say
                seen.counted = ask_within(_ANSWER_S, functools.partial(read_progress, one))

    def watch(result: PipelineResult) -> None:
        if hasattr(result, "_job_id"):
            threading.Thread(target=ask, args=(result,), name="imgcls-follow", daemon=True).start()

    try:
        yield watch
    finally:
        is_done.set()
