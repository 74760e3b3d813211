"""What a run counts: on the runner's counters, and on the board that a terminal follows."""

import collections
import dataclasses

from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.runners.runner import PipelineResult

from imgcls_beam.board import BOARD, Progress
from imgcls_beam.elements import EncodedImage, Failure, Outcome, PixelArray, Prediction
from imgcls_beam.passed_over import PassedOver

NAMESPACE = "imgcls"

LIST_IMAGES = Metrics.counter(NAMESPACE, "list_images")
LIST_DUPLICATES = Metrics.counter(NAMESPACE, "list_duplicates")
LIST_PASSED_OVER = Metrics.counter(NAMESPACE, "list_passed_over")
READ_OK = Metrics.counter(NAMESPACE, "read_ok")
READ_ERROR = Metrics.counter(NAMESPACE, "read_error")
READ_BYTES = Metrics.counter(NAMESPACE, "read_bytes")
READ_ATTEMPTS = Metrics.counter(NAMESPACE, "read_attempts")
PREPARE_OK = Metrics.counter(NAMESPACE, "prepare_ok")
PREPARE_ERROR = Metrics.counter(NAMESPACE, "prepare_error")
PREPARE_US = Metrics.distribution(NAMESPACE, "prepare_us")
SINK_ROWS = Metrics.counter(NAMESPACE, "sink_rows")
SINK_BYTES = Metrics.counter(NAMESPACE, "sink_bytes")
PREDICT_OK = Metrics.counter(NAMESPACE, "predict_ok")
PREDICT_ERROR = Metrics.counter(NAMESPACE, "predict_error")
PREDICT_US = Metrics.distribution(NAMESPACE, "predict_us")
"""Microseconds: Beam's distributions take integers, and a small image is done in 0.4 ms."""


@dataclasses.dataclass(frozen=True, slots=True)
class RunCounts:
    """What the runner counted over all of its workers.

    Attributes:
        listed: distinct references.
        ok: images predicted.
        duplicates: references beside them that are equal to one of them.
        passed_over: what the listings saw beside images.
    """

    listed: int
    ok: int
    duplicates: int = 0
    passed_over: int = 0

    @property
    def error(self) -> int:
        """Images that failed, in whatever stage."""
        return self.listed - self.ok

    @property
    def error_ratio(self) -> float:
        """Failures per listed image, 0.0 to 1.0; 0.0 where none was listed."""
        return self.error / self.listed if self.listed else 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class SubmittedJob:
    """A job that goes on without the program that started it.

    Attributes:
        job_id: the service's name of it; None for a template, which starts none.
        url: where a person sees it; None where that is not known.
        template: where the template lies; None for a job.
    """

    job_id: str | None = None
    url: str | None = None
    template: str | None = None


def read_counts(result: PipelineResult) -> RunCounts:
    """The counts of a run that has ended."""
    counters = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    found = {each.key.metric.name: each.result for each in counters}
    names = ("list_images", "predict_ok", "list_duplicates", "list_passed_over")
    return RunCounts(*(found.get(name, 0) for name in names))


def read_progress(result: PipelineResult) -> Progress:
    """How far a run is by the runner's counters, where it has them before the end."""
    found: collections.Counter[str] = collections.Counter()
    for each in result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]:
        found[each.key.metric.name] += max(each.attempted or 0, each.committed or 0)
    return Progress(
        listed=found["list_images"],
        ok=found["predict_ok"],
        error=found["read_error"] + found["prepare_error"] + found["predict_error"],
        duplicates=found["list_duplicates"],
    )


def count_found(copies: int = 1) -> None:
    """Counts listed references, before equal ones are one: a terminal wants to know soon."""
    BOARD.add(listed=copies)


def count_listed(copies: int) -> None:
    """Counts one distinct reference that was found `copies` times, from 1."""
    LIST_IMAGES.inc()
    if copies > 1:
        LIST_DUPLICATES.inc(copies - 1)
        BOARD.add(listed=1 - copies, duplicates=copies - 1)


def count_skipped() -> None:
    """Counts one image that an earlier run has scored."""
    BOARD.add(skipped=1)


def count_passed_over(passed_over: PassedOver) -> None:
    """Counts what one listing passed over."""
    LIST_PASSED_OVER.inc(len(passed_over))


def count_read(result: EncodedImage | Failure) -> None:
    """Counts one read object."""
    READ_ATTEMPTS.inc(result.tries)
    if isinstance(result, Failure):
        READ_ERROR.inc()
    else:
        READ_OK.inc()
        READ_BYTES.inc(len(result.data))


def count_prepared(result: PixelArray | Failure) -> None:
    """Counts one prepared image."""
    if isinstance(result, Failure):
        PREPARE_ERROR.inc()
    else:
        PREPARE_OK.inc()
        PREPARE_US.update(round(result.prepare_ms * 1e3))


def count_staged(rows: int, size_bytes: int) -> None:
    """Counts one file that a sink has staged."""
    SINK_ROWS.inc(rows)
    SINK_BYTES.inc(size_bytes)


def count_outcome(outcome: Outcome, *, reached_model: bool, on_board: bool = True) -> None:
    """Counts one finished image, whether it got as far as the predict stage, and for the board."""
    if on_board:
        BOARD.add(**{"ok" if isinstance(outcome, Prediction) else "error": 1})
    if isinstance(outcome, Prediction):
        PREDICT_OK.inc()
        PREDICT_US.update(round(outcome.execution.inference_ms * 1e3))
    elif reached_model:
        PREDICT_ERROR.inc()
