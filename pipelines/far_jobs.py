"""A job that a service runs: whether it goes on without this program, and how it is stopped."""

import contextlib
import functools
import time
from collections.abc import Callable

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
)
from apache_beam.runners.runner import PipelineResult, PipelineState

from imgcls_beam.sinks import Session, give_up
from imgcls_beam.time_limits import ask_within

from .runners import EMBEDDED_SERVICE, LOOPBACK

_CANCEL_S, _ANSWER_S, _LOOK_S = 30.0, 10.0, 0.5
"""For a job to end once its service was asked to cancel it; for one answer; between two looks."""

Watch = Callable[[PipelineResult], None]
"""Is told of a job that has begun."""


def needs_program(options: PipelineOptions) -> bool:
    """Whether a job ends with the program that started it: its workers or its engine are there."""
    portable = options.view_as(PortableOptions)
    if portable.environment_type == LOOPBACK or portable.job_endpoint == EMBEDDED_SERVICE:
        return True
    flink = options.view_as(FlinkRunnerOptions).flink_master
    spark = options.view_as(SparkRunnerOptions).spark_master_url
    return portable.job_endpoint is None and flink.startswith("[") and spark.startswith("local")


def name_job(result: PipelineResult, options: PipelineOptions) -> str:
    """How a person finds a job: its id, and the service that has it."""
    endpoint = options.view_as(PortableOptions).job_endpoint
    job_id = getattr(result, "_job_id", None) or "whose id is not known"
    return f"job {job_id}" + (f" of the job service at {endpoint}" if endpoint else "")


def cancel_job(
    result: PipelineResult,
    rows: Session | None,
    *,
    is_needed: bool,
    limit_s: float = _CANCEL_S,
    look_s: float = _LOOK_S,
) -> bool:
    """Cancels a job, and waits for its end.

    Args:
        result: of the job.
        rows: what it writes to. A job that has begun to move its files is waited for: it is about
            to be published.
        is_needed: whether it ends with this program; then a service that is gone is no question.
        limit_s: seconds that are waited.
        look_s: between two looks.

    Returns:
        Whether it has ended, or is about to because this program does.
    """
    end_s = time.monotonic() + limit_s
    ask_to_cancel(result, limit_s)
    while time.monotonic() < end_s:
        state = read_state(result)
        is_over = is_needed if state is None else PipelineState.is_terminal(state)
        if is_over and (rows is None or _give_up(rows)):
            return True
        time.sleep(look_s)
    return is_needed


def _give_up(rows: Session) -> bool:
    """Whether a session can no longer commit; not where it commits now, or its store is silent."""
    with contextlib.suppress(Exception):  # of the store, or of the time that is waited
        return ask_within(_ANSWER_S, functools.partial(give_up, rows))
    return False


def ask_to_cancel(result: PipelineResult, limit_s: float = _ANSWER_S) -> None:
    """Asks the service to cancel a job; whether it can is seen from the job's state."""
    with contextlib.suppress(Exception):  # also where there is no such service any more
        ask_within(limit_s, result.cancel)


def read_state(result: PipelineResult) -> str | None:
    """The state of a job, in Beam's words; None where its service does not say."""
    try:
        return str(ask_within(_ANSWER_S, functools.partial(getattr, result, "state")))
    except Exception:  # noqa: BLE001  whatever its client raises of a service that is gone
        return None


def is_lost(error: BaseException) -> bool:
    """Whether an error says that the service does not answer any more, and nothing of the job."""
    import grpc

    gone = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return isinstance(error, grpc.RpcError) and getattr(error, "code", bool)() in gone
