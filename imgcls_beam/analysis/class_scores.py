"""How right a run is: accuracy, top-k accuracy, and precision, recall and F1 of each label.

A ratio over nothing is 0. Formulas and averages are those of scikit-learn: `macro` is the plain
mean over the labels that are the truth or the best label of an image, `weighted` that by their
images.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from imgcls_beam.analysis.scored_rows import Booleans, Floats, Integers, ScoredRows


@dataclasses.dataclass(frozen=True, slots=True)
class LabelScores:
    """One label, held against the rest; or the mean over labels.

    Attributes:
        label: its name; `macro` or `weighted` for a mean.
        images: how many it is the truth of.
        predicted: how many have it as best label.
        precision: of those that have it as best label, how many are right, 0 to 1.
        recall: of those it is the truth of, how many have it as best label, 0 to 1.
        f1: harmonic mean of the two.
    """

    label: str
    images: int
    predicted: int
    precision: float
    recall: float
    f1: float


@dataclasses.dataclass(frozen=True, slots=True)
class ConfusionCell:
    """Images of one truth and one best label.

    Attributes:
        truth: name of the label that is right.
        predicted: name of the best label.
        images: how many there are.
    """

    truth: str
    predicted: str
    images: int


def rank_truths(rows: ScoredRows, truths: Integers) -> Integers:
    """The place of the truth among each row's labels, from 1; 0 where it is not among them. N."""
    is_truth = rows.label_ids == np.repeat(truths, rows.lengths)
    hits = np.flatnonzero(is_truth)
    owners = rows.row_ids[hits]
    ranks = np.zeros(rows.rows, np.int64)
    ranks[owners[::-1]] = (hits - rows.starts[owners] + 1)[::-1]  # of two of one name the better
    return ranks


def find_top_accuracies(ranks: Integers, deepest: int) -> list[float]:
    """The share of images whose truth is among the best k, for k from 1 to `deepest`."""
    at_rank = np.bincount(ranks, minlength=deepest + 1)[1 : deepest + 1]
    images = max(len(ranks), 1)
    return [float(each) for each in np.cumsum(at_rank) / images]


def score_labels(
    labels: Sequence[str], truths: Integers, predicted: Integers
) -> tuple[list[LabelScores], LabelScores, LabelScores]:
    """Each label that is the truth or the best label of an image, by name; macro and weighted mean.

    Args:
        labels: names by label id.
        truths: label ids, N.
        predicted: label ids, N.
    """
    size = len(labels)
    images = np.bincount(truths, minlength=size)
    given = np.bincount(predicted, minlength=size)
    right = np.bincount(truths[truths == predicted], minlength=size)
    precision, recall = divide(right, given), divide(right, images)
    f1 = divide(2 * right, images + given)
    used = np.flatnonzero((images > 0) | (given > 0))
    each = [
        LabelScores(
            *(labels[at], int(images[at]), int(given[at])),
            *(float(precision[at]), float(recall[at]), float(f1[at])),
        )
        for at in used.tolist()
    ]
    ratios = np.stack([precision[used], recall[used], f1[used]])
    macro = _average("macro", len(truths), ratios, np.ones(len(used), np.bool_))
    weighted = _average("weighted", len(truths), ratios, images[used])
    return sorted(each, key=lambda found: found.label), macro, weighted


def count_confusions(
    labels: Sequence[str], truths: Integers, predicted: Integers
) -> list[ConfusionCell]:
    """The cells that are not empty: the fullest first, ties by name."""
    pairs, counts = np.unique(truths * len(labels) + predicted, return_counts=True)
    cells = [
        ConfusionCell(labels[pair // len(labels)], labels[pair % len(labels)], int(count))
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(cells, key=lambda cell: (-cell.images, cell.truth, cell.predicted))


def divide(counts: Integers | Floats, by: Integers | Floats) -> Floats:
    """The quotients, and 0 where it is by nothing."""
    return np.divide(counts, by, out=np.zeros(len(by), np.float64), where=by != 0)


def _average(name: str, images: int, ratios: Floats, weights: Integers | Booleans) -> LabelScores:
    total = weights.sum()
    means = ratios @ weights / total if total else np.zeros(len(ratios))
    return LabelScores(name, images, images, *map(float, means))
