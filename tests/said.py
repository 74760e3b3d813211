"""Small published runs of which every score and every carried value is given."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from imgcls_beam.elements import Failure, ImageRef, Outcome, Prediction
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.rows import to_record_batch
from imgcls_beam.scoring import AppliedParameters, Execution
from imgcls_beam.sinks import RunRecord
from imgcls_beam.sinks.merging import merge_files, plan_session
from imgcls_beam.sinks.staged_files import BundleWriter, merge_staged
from imgcls_beam.spec import FunctionToApply, LabelScore
from tests.staged import NOON, RUN, Run, begin, commit, scoring_of


class Said(NamedTuple):
    """What a run says of an image: its labels, best first; none where it failed; by what."""

    uri: str
    labels: Sequence[tuple[str, float]] = ()
    carried: Mapping[str, Any] | None = None
    function: FunctionToApply = "softmax"


def publish_said(output: str, says: Sequence[Said], run: Run = RUN) -> RunRecord:
    """Publishes a run as a job does, without a pipeline."""
    session = begin(output, 1, run)
    writer = BundleWriter(session.folder, session.paths.staging)
    writer.write(to_record_batch([_to_outcome(each, run) for each in says]), run.scoring)
    staged = merge_staged([part for part in (writer.close(),) if part])
    merged = [
        merge_files(each, session.folder, session.paths.staging)
        for each in plan_session(staged, session)
    ]
    return commit(merged, staged, len(says), session)


def _to_outcome(said: Said, run: Run) -> Outcome:
    ref = ImageRef(said.uri, attributes=said.carried or {})
    at = NOON + datetime.timedelta(seconds=1)
    if not said.labels:
        stage, code = Stage.PREPARE, FailureCode.TRUNCATED
        return Failure(ref, stage, code, "cut", failed_at=at, scoring=scoring_of(run))
    scores = [score for _, score in said.labels]
    return Prediction(
        ref=ref,
        labels=tuple(LabelScore(label, score) for label, score in said.labels),
        margin=scores[0] - scores[1] if len(scores) > 1 else None,
        applied=AppliedParameters(len(scores), said.function, "model"),
        execution=Execution("cpu", "float32", 8, 1.0, at),
        scoring=scoring_of(run),
    )
