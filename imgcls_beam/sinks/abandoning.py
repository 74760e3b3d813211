"""What abandons a session when the pipeline that writes it fails.

Beam tells no transform that its run has failed: a worker sees bundles, and `expand` is over before
anything runs. The one place that hears of a failure is the call of `run`, or of the result's
`wait_until_finish`, so a sink wraps both of its own pipeline. Workers never see the wrapper: Beam
does not pickle pipelines. Where `run` returns while the job goes on elsewhere, nothing is abandoned
before the job is known to have ended; a session whose launcher is killed is cleared by a later one.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.runners.runner import PipelineResult, PipelineState


@contextlib.contextmanager
def abandon_on_error(abandon: Callable[[], None]) -> Iterator[None]:
    """Abandons a session where the block raises anything, an interrupt too; that is raised on."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):  # the error of the run is the one to be seen
            abandon()
        raise


def abandon_with(pipeline: beam.Pipeline, abandon: Callable[[], None]) -> None:
    """Abandons a session where this pipeline fails.

    Args:
        pipeline: not yet run.
        abandon: may be called more than once.
    """
    run = pipeline.run

    def guarded_run(*args: Any, **kwargs: Any) -> PipelineResult:  # noqa: ANN401  Beam's own
        with abandon_on_error(abandon):
            result = run(*args, **kwargs)
        _guard_result(result, abandon)
        return result

    pipeline.run = guarded_run


def _guard_result(result: PipelineResult, abandon: Callable[[], None]) -> None:
    wait = result.wait_until_finish

    def guarded_wait(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  Beam's own
        with abandon_on_error(lambda: _abandon_ended(result, abandon)):
            return wait(*args, **kwargs)

    result.wait_until_finish = guarded_wait


def _abandon_ended(result: PipelineResult, abandon: Callable[[], None]) -> None:
    """An interrupt, or a lost connection, ends the waiting and not the job."""
    if PipelineState.is_terminal(result.state):
        abandon()
