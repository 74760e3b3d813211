"""A run, its truths and what it is worth: what `imgcls evaluate` and reports begin with."""

import dataclasses
import functools

from imgcls_beam.analysis.evaluating import Evaluation, evaluate_rows
from imgcls_beam.analysis.model_labels import read_model_labels
from imgcls_beam.analysis.run_rows import RunRows, choose_model
from imgcls_beam.analysis.scored_rows import ScoredRows, read_scored_rows
from imgcls_beam.analysis.thresholds import Wanted
from imgcls_beam.analysis.truth_files import read_mapping, read_truths
from imgcls_beam.analysis.truths import (
    TruthOptions,
    Truths,
    find_by_uri,
    find_carried,
    resolve_truths,
)
from imgcls_beam.sinks import RecordedModel, RunRecord


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class JudgedRun:
    """A run held against the truth.

    Attributes:
        record: of the run.
        model: whose rows they are.
        rows: its good rows.
        truths: of these rows.
        evaluation: what follows.
    """

    record: RunRecord
    model: RecordedModel
    rows: ScoredRows
    truths: Truths
    evaluation: Evaluation


def judge_run(
    run: RunRows, truth: TruthOptions, model: str | None = None, wanted: Wanted | None = None
) -> JudgedRun:
    """Holds a run against the truth.

    Args:
        run: as `open_run` gives it.
        truth: where the truth is.
        model: id or key; needed where the run has several.
        wanted: what thresholds are chosen for; None for the best F1.

    Raises:
        ConfigError: there is no such model, no such truth, or no image that can be judged.
    """
    chosen = choose_model(run.record, model)
    mapping = None if truth.mapping is None else read_mapping(truth.mapping)
    known = None if truth.file is None else read_truths(truth.file)
    rows = read_scored_rows(run, chosen.key)
    values = (
        find_carried(rows.attributes, str(truth.column))
        if known is None
        else find_by_uri(rows.uris, known)
    )
    read_labels = functools.partial(read_model_labels, chosen)
    truths = resolve_truths(values, rows.labels, read_labels, truth, mapping)
    evaluation = evaluate_rows(rows, truths, wanted, truth.source[0])
    return JudgedRun(run.record, chosen, rows, truths, evaluation)
