"""What abandons a session when the pipeline that writes it fails.

Beam tells no transform that its run has failed: a worker sees bundles, and `expand` is over before
anything runs. The one place that hears of a failure is the call of `run`, or of the result's
`wait_until_finish`, so sinks guard both of their own pipeline. Workers never see the guard: Beam
does not pickle pipelines. Where `run` returns while the job goes on elsewhere, nothing is abandoned
before the job is known to have ended; a session whose launcher is killed is cleared by a later one.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.runners.runner import PipelineResult, PipelineState

from imgcls_beam.errors import GoesOnError
from imgcls_beam.stores.haste import hasten
from imgcls_beam.stores.local_folder import remove_empty
from imgcls_beam.time_limits import ask_within

NOT_CLEARED = (
    "interrupted; nothing was published; what this run has staged could not be removed now, which "
    "a later run does"
)
_ANSWER_S = 10.0
"""For a runner that is asked whether a job has ended."""


@contextlib.contextmanager
def abandon_on_error(abandon: Callable[[], None]) -> Iterator[None]:
    """Abandons a session where the block raises anything, an interrupt too; that is raised on.

    A session whose job may go on elsewhere is left to that. After an interrupt a store that does
    not answer is not waited for.

    Raises:
        KeyboardInterrupt: as it was raised; with a sentence where what was staged is still there.
    """
    try:
        yield
    except GoesOnError:
        raise
    except KeyboardInterrupt as stop:
        with hasten():
            is_cleared = _is_done(abandon)
        if is_cleared or stop.args:
            raise
        raise KeyboardInterrupt(NOT_CLEARED) from stop
    except BaseException:
        _is_done(abandon)
        raise


def _is_done(abandon: Callable[[], None]) -> bool:
    """Abandons a session; the error of its run is the one to be seen."""
    with contextlib.suppress(Exception):
        abandon()
        return True
    return False


def abandon_with(
    pipeline: beam.Pipeline,
    abandon: Callable[[], None],
    find_made: Callable[[], Sequence[str]],
) -> None:
    """Abandons a session where this pipeline fails.

    Args:
        pipeline: not yet run.
        abandon: may be called more than once.
        find_made: which folders the session has made or will have to make; asked when it is run.
    """
    if not isinstance(pipeline.run, _Guard):
        pipeline.run = _Guard(pipeline.run)
    pipeline.run.sinks.append(_Sink(abandon, find_made))


class _Sink(NamedTuple):
    abandon: Callable[[], None]
    find_made: Callable[[], Sequence[str]]


class _Guard:
    """Takes the place of a pipeline's `run`."""

    def __init__(self, run: Callable[..., PipelineResult]) -> None:
        self._run = run
        self._made: set[str] = set()
        self.sinks: list[_Sink] = []

    def __call__(self, *args: Any, **kwargs: Any) -> PipelineResult:  # noqa: ANN401  Beam's own
        self._made = {folder for sink in self.sinks for folder in sink.find_made()}
        with abandon_on_error(self._abandon):
            result = self._run(*args, **kwargs)
        wait = result.wait_until_finish

        def guarded_wait(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  Beam's own
            with abandon_on_error(lambda: self._abandon_ended(result)):
                return wait(*args, **kwargs)

        result.wait_until_finish = guarded_wait
        return result

    def _abandon_ended(self, result: PipelineResult) -> None:
        """An interrupt, or a lost connection, ends the waiting and not the job."""
        if PipelineState.is_terminal(ask_within(_ANSWER_S, lambda: result.state)):
            self._abandon()

    def _abandon(self) -> None:
        for sink in self.sinks:
            with contextlib.suppress(Exception):
                sink.abandon()
        remove_empty(*sorted(self._made, key=len, reverse=True))  # deepest first
