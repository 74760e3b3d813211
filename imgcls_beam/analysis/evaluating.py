"""A run held against the truth: everything that `imgcls evaluate` says."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from imgcls_beam.analysis.calibration import Calibration, calibrate
from imgcls_beam.analysis.class_scores import (
    ConfusionCell,
    LabelScores,
    count_confusions,
    find_top_accuracies,
    rank_truths,
    score_labels,
)
from imgcls_beam.analysis.scored_rows import ScoredRows, take_rows
from imgcls_beam.analysis.thresholds import LabelThresholds, Wanted, find_thresholds
from imgcls_beam.analysis.truths import Truths
from imgcls_beam.errors import ConfigError


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """What a run is worth, as far as the truth is known.

    Attributes:
        judged: images with scores and a known truth; all that follows is of them.
        without_truth: good rows that have no truth.
        unknown_truth: good rows whose truth is no label of the model.
        unknown: these truths, the most frequent first, and how many rows have each.
        statuses: rows of the run by status; only those that are ok can be judged.
        unseen: labels that are truths, and that no row has: recall 0.
        top_accuracies: the share of images whose truth is among the best k, for k = 1, 2, … up to
            as many labels as every row has.
        macro: plain mean over the labels.
        weighted: mean over the labels by their images.
        labels: each label that is the truth or the best label of an image.
        confusions: the cells that are not empty, the fullest first.
        calibration: None where scores are no probabilities.
        thresholds: of each label that is a truth.
    """

    judged: int
    without_truth: int
    unknown_truth: int
    unknown: Mapping[str, int]
    statuses: Mapping[str, int]
    unseen: tuple[str, ...]
    top_accuracies: tuple[float, ...]
    macro: LabelScores
    weighted: LabelScores
    labels: tuple[LabelScores, ...]
    confusions: tuple[ConfusionCell, ...]
    calibration: Calibration | None
    thresholds: tuple[LabelThresholds, ...]

    @property
    def accuracy(self) -> float:
        """The share of images whose best label is the truth."""
        return self.top_accuracies[0]


def evaluate_rows(
    rows: ScoredRows, truths: Truths, wanted: Wanted | None = None, option: str = "truth_column"
) -> Evaluation:
    """Holds rows against their truths.

    Args:
        rows: N good rows.
        truths: of these rows.
        wanted: what thresholds are chosen for; None for the best F1.
        option: that says where the truth is.

    Raises:
        ConfigError: no row has a truth that is a label.
    """
    unknown = sum(truths.unknown.values())
    is_judged = truths.ids >= 0
    judged = rows if is_judged.all() else take_rows(rows, np.flatnonzero(is_judged))
    if not judged.rows:
        problem = f"no image can be judged: {truths.without:,} of {rows.rows:,} have no truth"
        raise ConfigError(option, None, f"{problem}, {unknown:,} another")
    ids = truths.ids[truths.ids >= 0]
    ranks, top_ids = rank_truths(judged, ids), judged.top_ids
    labels, macro, weighted = score_labels(truths.labels, ids, top_ids)
    return Evaluation(
        judged=judged.rows,
        without_truth=truths.without,
        unknown_truth=unknown,
        unknown=truths.unknown,
        statuses=rows.statuses,
        unseen=truths.labels[len(rows.labels) :],
        top_accuracies=tuple(find_top_accuracies(ranks, int(judged.lengths.min()))),
        macro=macro,
        weighted=weighted,
        labels=tuple(labels),
        confusions=tuple(count_confusions(truths.labels, ids, top_ids)),
        calibration=(
            None if judged.has_raw_scores else calibrate(judged.top_scores, ids == top_ids)
        ),
        thresholds=tuple(find_thresholds(judged, truths.labels, ids, wanted or Wanted())),
    )


def list_misjudged(
    rows: ScoredRows, truths: Truths, cell: ConfusionCell, limit: int
) -> Sequence[str]:
    """URIs of images of one cell of the confusion matrix, those with the highest score first."""
    ids = {name: index for index, name in enumerate(truths.labels)}
    is_in = (truths.ids == ids[cell.truth]) & (rows.top_ids == ids[cell.predicted])
    found = np.flatnonzero(is_in)
    best = found[np.argsort(-rows.top_scores[found], kind="stable")][:limit]
    uris: list[str] = rows.uris.take(best).to_pylist()
    return uris
