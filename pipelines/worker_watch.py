"""A worker that dies ends its job, also where the job service would wait for it for ever.

Beam's own job service does so, and tells nobody. Other engines start another worker, or say that
the job has failed.
"""

import argparse
import contextlib
import copy
import functools
import re
import threading
from collections.abc import Iterator

from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, PortableOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from imgcls_beam.liveness import Connect, hear_of_deaths
from imgcls_beam.stopping import stop_process

from .far_jobs import Watch, read_state
from .runners import LOOPBACK

_OWN_JOB = re.compile(r"job-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""How Beam's own job service names its jobs, and no other that is known."""
_SETTLE_S, _AGAIN_S = 10.0, 0.2
_LOST = "a worker process was killed, or ended by itself, and its job service waits for it"
_IN_PROCESS = "use_loopback_process_worker"
"""Beam's experiment: workers of LOOPBACK are processes, not threads of the program."""


@contextlib.contextmanager
def watch_workers(
    options: PipelineOptions, settle_s: float = _SETTLE_S
) -> Iterator[tuple[Connect | None, Watch]]:
    """Ends the run if its worker dies and its service goes on waiting.

    Args:
        options: of the pipeline.
        settle_s: that a service has to say that the job has ended; then its workers do.

    Yields:
        The step behind the job's first elements, None where workers are no processes; and what is
        to be told of the job once it has begun.
    """
    seen = argparse.Namespace(result=None)
    is_over = threading.Event()
    with contextlib.ExitStack() as begun:
        connect = None
        if _has_own_workers(options):
            look = functools.partial(_look, seen, is_over, settle_s)
            connect = begun.enter_context(hear_of_deaths(look))
        begun.callback(is_over.set)
        yield connect, functools.partial(setattr, seen, "result")


def _has_own_workers(options: PipelineOptions) -> bool:
    """Whether a service that is not started by the runner has workers which are processes."""
    portable = options.view_as(PortableOptions)
    in_process = options.view_as(DebugOptions).lookup_experiment(_IN_PROCESS, False)
    is_thread = portable.environment_type == LOOPBACK and not in_process
    return portable.job_endpoint is not None and not is_thread


def _look(seen: argparse.Namespace, is_over: threading.Event, settle_s: float) -> None:
    while seen.result is None:  # its worker was faster than the answer of the service
        if is_over.wait(_AGAIN_S):
            return
    result: PipelineResult = seen.result
    if not _OWN_JOB.fullmatch(getattr(result, "_job_id", "")):
        return
    if is_over.wait(settle_s):
        return
    state = read_state(copy.copy(result))  # it keeps what it was told
    if state is not None and not PipelineState.is_terminal(state) and not is_over.is_set():
        stop_process(_LOST)
