"""A pipeline runs to its end, or a sentence says why it did not, and what stands under its name."""

import contextlib
import functools
import logging
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from imgcls_beam.board import read_words
from imgcls_beam.errors import GoesOnError, PublishError, StoreError
from imgcls_beam.metrics import RunCounts, read_counts
from imgcls_beam.options import OutputOptions
from imgcls_beam.sinks import (
    JsonlSession,
    Session,
    abandon_jsonl,
    abandon_session,
    is_committed,
    keep_unpublished,
)
from imgcls_beam.stopping import hold_up, stoppable
from imgcls_beam.stores import hasten

from .far_jobs import (
    Watch,
    ask_to_cancel,
    cancel_job,
    is_lost,
    name_job,
    needs_program,
    read_state,
)
from .held_signals import hold_signals
from .runners import is_local, is_spread
from .told_errors import describe_error, is_kind
from .worker_ends import end_with_workers
from .worker_processes import quieten_threads

_LOG = logging.getLogger("imgcls")

_CANCELLED = (
    "interrupted; the job was cancelled, nothing was published and nothing of this run is kept; "
    "the same command starts it again"
)


def run_to_end(
    pipeline: beam.Pipeline,
    rows: Session | None,
    lines: JsonlSession | None,
    output: OutputOptions,
    watches: Sequence[Watch],
) -> RunCounts | None:
    """Runs to the end, on a runner that has logged the traceback of whatever it raises.

    Args:
        pipeline: as it was built.
        rows: the session of the rows; None for none.
        lines: the session of the responses; None for none.
        output: of the job.
        watches: are told of a job that has begun.

    Returns:
        The counts; None where the run was published, and what failed came after that.

    Raises:
        PublishError: the run failed.
        GoesOnError: the job may go on elsewhere.
        KeyboardInterrupt: it was interrupted; what it says is a sentence, where there is more to
            say than that.
    """
    abandon = functools.partial(_abandon, rows, lines)
    if not is_local(pipeline.options):
        quieten_threads()
    with stoppable(abandon) as run, end_with_workers():
        result = None
        try:
            with hold_signals() if _is_handed_over(pipeline.options) else contextlib.nullcontext():
                result = pipeline.run()
            for watch in watches:
                watch(result)
            result.wait_until_finish()
            return read_counts(result)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the edge: all of it is told
            with hasten() if _is_interrupt(error) else contextlib.nullcontext():
                _end(error, run.reason, result, pipeline.options, rows, output)
        return None


def _is_interrupt(error: BaseException) -> bool:
    """Beam wraps an interrupt that comes in the middle of a step."""
    return isinstance(error, KeyboardInterrupt) or str(error).startswith("KeyboardInterrupt")


def _end(
    error: BaseException,
    reason: str | None,
    result: PipelineResult | None,
    options: PipelineOptions,
    rows: Session | None,
    output: OutputOptions,
) -> None:
    far = None if is_local(options) else result
    if not is_local(options):
        hold_up()  # threads of its client, whose service may be gone
    if isinstance(error, KeyboardInterrupt) and reason is None:
        if far is not None:
            _end_far(far, options, rows, output, error)
        elif _is_handed_over(options):
            raise KeyboardInterrupt(_explain_unnamed("interrupted", rows, output)) from error
        else:
            _end_interrupted(options, rows, output, error)
    elif _is_interrupt(error) and reason is None and not _is_published(rows):
        raise KeyboardInterrupt from error
    elif not is_local(options) and is_lost(error):
        _end_lost(far, options, rows, output, error)
    else:
        if far is not None and reason is not None:
            ask_to_cancel(far)
        _end_failed(reason or _describe(error), options, rows, output, error)


def _is_handed_over(options: PipelineOptions) -> bool:
    """Whether a job is given to a service that may run it without this program."""
    return not is_local(options) and not needs_program(options)


def _end_lost(
    result: PipelineResult | None,
    options: PipelineOptions,
    rows: Session | None,
    output: OutputOptions,
    error: BaseException,
) -> None:
    """The service of a job does not answer any more; without a result the job was not named yet."""
    if needs_program(options) or _is_published(rows):
        _end_failed("the job service stopped answering", options, rows, output, error)
        return
    if result is None:
        lost = _explain_unnamed("the service stopped answering", rows, output)
        raise PublishError(lost) from error
    job = name_job(result, options)
    raise GoesOnError(
        f"the service stopped answering: {job} may go on, and may still publish; nothing of it was "
        f"published so far; look there, and stop it there before this run is started again"
    ) from error


def _end_far(
    result: PipelineResult,
    options: PipelineOptions,
    rows: Session | None,
    output: OutputOptions,
    error: BaseException,
) -> None:
    """A job that a service runs was interrupted: it is cancelled, and what became of it is said."""
    job, has_ended = name_job(result, options), False
    _LOG.warning("interrupted; %s is being cancelled", job)
    with contextlib.suppress(KeyboardInterrupt):  # again: it is not waited for
        has_ended = cancel_job(result, rows, is_needed=needs_program(options))
    if _is_published(rows) and not output.is_scratch:
        _LOG.warning("interrupted, but the rows were published before the job could be stopped")
        _end_interrupted(options, rows, output, error)
    elif has_ended:
        is_sure = rows is not None or needs_program(options)
        raise KeyboardInterrupt(_CANCELLED if is_sure else _explain_lines(output)) from error
    elif (state := read_state(result)) and PipelineState.is_terminal(state):
        raise GoesOnError(
            f"interrupted; {job} has ended, as its service says, and may have begun to publish; "
            "nothing was published so far; the same command begins anew, and clears what it left"
        ) from error
    else:
        raise GoesOnError(
            f"interrupted, but {job} goes on: it was asked to stop, and has not; nothing was "
            "published so far, and it publishes its rows when it is through; stop it there"
        ) from error


def _end_failed(
    problem: str,
    options: PipelineOptions,
    rows: Session | None,
    output: OutputOptions,
    error: BaseException,
) -> None:
    what = "the run failed and nothing was published"
    if rows is not None and _is_unknown(rows, options, error):
        raise PublishError(f"the run failed, and {_explain_unknown(rows)} ({problem})") from error
    if _is_published(rows) and not output.is_scratch:
        missing = _name_later(output)
        if not missing:
            _LOG.warning("the rows were published; what followed failed (%s)", problem)
            return
        what = f"the rows were published, but not {missing}"
    raise PublishError(f"{what} ({problem})") from error


def _end_interrupted(
    options: PipelineOptions, rows: Session | None, output: OutputOptions, error: BaseException
) -> None:
    if rows is not None and _is_unknown(rows, options, error):
        raise PublishError(f"interrupted, and {_explain_unknown(rows)}") from error
    if not _is_published(rows) or output.is_scratch:
        raise error
    if missing := _name_later(output):
        problem = f"interrupted; the rows were published, but perhaps not {missing}"
        raise PublishError(f"{problem}; --if_exists=replace makes the run again") from error


def _describe(error: BaseException) -> str:
    """What to say of an error of a run; a worker that ended may have left a word of its own."""
    if words := read_words():
        return words[0]
    return describe_error(error)


def _abandon(rows: Session | None, lines: JsonlSession | None) -> None:
    """Where the program ends before it comes to that itself."""
    if rows is not None:
        abandon_session(rows)
    if lines is not None:
        abandon_jsonl(lines)


def _name_later(output: OutputOptions) -> str:
    """What is written after the rows are published."""
    later = {"the table": output.table, "the responses": output.jsonl}
    return " or ".join(name for name, place in later.items() if place is not None)


def _is_published(session: Session | None) -> bool:
    """Whether this very session is known to have committed its rows."""
    return session is not None and is_committed(session) is True


def _is_unknown(session: Session, options: PipelineOptions, error: BaseException) -> bool:
    """Whether a session may have committed its rows, for all that is known without its store.

    Rows are published by a later step than the one in which images are read, and where the runner
    has no other processes it is known whether that step has begun.
    """
    if is_committed(session) is not None:
        return False
    is_before = not is_spread(options) or is_kind(error, StoreError)
    return not (is_local(options) and is_before and keep_unpublished(session))


def _explain_lines(output: OutputOptions) -> str:
    """Of a cancelled job of responses alone: no run of rows stands in its way."""
    return (
        "interrupted; the job was cancelled; if its service goes on all the same, it may still "
        f"write {output.jsonl}: look there before the same command is started again"
    )


def _explain_unnamed(what: str, rows: Session | None, output: OutputOptions) -> str:
    """Of a job whose service may have begun it, and has not said so."""
    begun = f"{what} while the job was handed to its service, which may run it all the same"
    if rows is None:
        return f"{begun} and write {output.jsonl}: look there before the same command is started"
    return f"{begun}; nothing was published, and nothing of that job can be"


def _explain_unknown(session: Session) -> str:
    record = session.folder.url_of(session.paths.record)
    return (
        "it is not known whether the rows were published, as their store does not answer: they "
        f'were if {record} says "attempt": "{session.session_id}"'
    )
