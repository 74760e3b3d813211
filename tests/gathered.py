"""Reports of rows that are made in a test, of a run in memory."""

import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.analysis.report_page.gathering import EarlierRun, gather_facts
from imgcls_beam.analysis.report_page.page_facts import ReportFacts
from imgcls_beam.elements import Failure, ImageRef, Outcome, Prediction, Skipped
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.rows import to_record_batch
from imgcls_beam.scoring import AppliedParameters, Execution, ModelSource, Scoring
from imgcls_beam.sinks import RecordedModel, RunRecord
from imgcls_beam.sinks.record_parts import RecordedPublication
from imgcls_beam.spec import FunctionToApply, LabelScore
from imgcls_beam.summary import merge_summaries, summarize

NOON = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.UTC)
SCORING = Scoring(ModelSource("owner/model", "a" * 40, "owner/model", "a" * 40), 5)
MODEL = RecordedModel.of_scoring(SCORING)
EXECUTION = Execution("cpu", "float32", 8, 1.0, NOON)


@dataclasses.dataclass(frozen=True)
class Rows:
    """A run in memory: `RunRows`."""

    record: RunRecord
    batches: Sequence[pa.RecordBatch]
    place: str = "out"

    def read(
        self, columns: Sequence[str], model_key: str | None = None, status: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        assert model_key == MODEL.key
        for batch in self.batches:
            wanted = pa.Table.from_batches([batch])
            if status is not None:
                wanted = wanted.filter(pc.equal(wanted["status"], status))
            yield from wanted.select(list(columns)).to_batches()


def ok(name: str, *labels: tuple[str, float], function: FunctionToApply = "softmax") -> Outcome:
    """A good row; the best label comes first."""
    scores = tuple(LabelScore(*each) for each in labels)
    margin = labels[0][1] - labels[1][1] if len(labels) > 1 else None
    ref = ImageRef(f"gs://b/{name}", "1")
    applied = AppliedParameters(5, function, "model")
    return Prediction(ref, scores, margin, applied, EXECUTION, SCORING)


def bad(name: str, code: FailureCode = FailureCode.TRUNCATED) -> Outcome:
    """A row that failed."""
    failure = Failure.from_error(ImageRef(f"gs://b/{name}", "1"), ImageError(code, "it ends"))
    return dataclasses.replace(failure, scoring=SCORING)


def make_run(
    outcomes: Sequence[Outcome | Skipped], run_id: str = "r2", batch_rows: int = 100
) -> Rows:
    """A finished run of these rows."""
    batches = [
        to_record_batch(outcomes[start : start + batch_rows])
        for start in range(0, len(outcomes), batch_rows)
    ]
    publication = RecordedPublication("s", "new", NOON, NOON, len(outcomes))
    record = RunRecord(
        run_id=run_id,
        run_date=NOON.date(),
        session_id="s",
        state="DONE",
        models=(MODEL,),
        listed=len(outcomes),
        summary=merge_summaries(map(summarize, batches)).to_json(),
        publications=(publication,),
    )
    return Rows(record, batches)


def gather(
    outcomes: Sequence[Outcome | Skipped], before: Sequence[Outcome] | None = None, **how: Any
) -> ReportFacts:
    """The facts of their report, compared with the rows of an earlier run."""
    earlier = None if before is None else EarlierRun(make_run(before, "r1"), MODEL)
    return gather_facts(make_run(outcomes, **how), MODEL, earlier)
