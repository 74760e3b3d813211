"""Two runs and their comparison: what `imgcls compare` and reports begin with."""

import dataclasses

from imgcls_beam.analysis.comparing import RunComparison, compare_rows
from imgcls_beam.analysis.run_rows import RunRows, choose_model
from imgcls_beam.analysis.scored_rows import COMPARED, read_scored_rows
from imgcls_beam.errors import ConfigError
from imgcls_beam.sinks import RecordedModel, RunRecord


@dataclasses.dataclass(frozen=True, slots=True)
class ComparedSide:
    """A or B.

    Attributes:
        place: output folder or table of the run.
        record: of the run.
        model: whose rows are compared.
    """

    place: str
    record: RunRecord
    model: RecordedModel


@dataclasses.dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Two runs, or two models of one, side by side.

    Attributes:
        a: one.
        b: the other.
        comparison: what is the same, and what is not.
    """

    a: ComparedSide
    b: ComparedSide
    comparison: RunComparison


def compare_runs(
    run_a: RunRows,
    run_b: RunRows,
    model_a: str | None = None,
    model_b: str | None = None,
    shown_flips: int = 1000,
) -> ComparedRuns:
    """Compares two runs, or two models of one run.

    Args:
        run_a: as `open_run` gives it.
        run_b: the other; may be the same.
        model_a: id or key; needed where A has several.
        model_b: of B.
        shown_flips: how many flips are listed at the most.

    Raises:
        ConfigError: there is no such model, both are one, or no image is in both.
    """
    a = ComparedSide(run_a.place, run_a.record, choose_model(run_a.record, model_a))
    b = choose_other(run_a, a.model, run_b, model_b)
    rows_a = read_scored_rows(run_a, a.model.key, COMPARED)
    rows_b = read_scored_rows(run_b, b.model.key, COMPARED)
    return ComparedRuns(a, b, compare_rows(rows_a, rows_b, shown_flips))


def choose_other(
    run: RunRows, model: RecordedModel, other: RunRows, other_model: str | None = None
) -> ComparedSide:
    """The other side of a comparison.

    Args:
        run: one.
        model: of it.
        other: the other; may be the same for another of its models.
        other_model: id or key; needed where the other has several.

    Raises:
        ConfigError: there is no such model, or both are one.
    """
    found = choose_model(other.record, other_model, "with_model")
    own = (run.place.rstrip("/"), run.record.run_id, model.key)
    if own == (other.place.rstrip("/"), other.record.run_id, found.key):
        problem = "it is the same run and model; name another run, or another of its models"
        raise ConfigError("with", other.record.run_id, problem)
    return ComparedSide(other.place, other.record, found)
