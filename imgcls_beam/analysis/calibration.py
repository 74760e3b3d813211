"""Whether a score is what it looks like: of images scored 0.8, eight of ten should be right."""

import dataclasses

import numpy as np

from imgcls_beam.analysis.scored_rows import Booleans, Floats

BINS = 15
"""Of equal width over [0, 1], each without its lower end; 0 belongs to the first."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Images whose best score lies in one range.

    Attributes:
        low: lower end of the range.
        high: upper end of it.
        images: how many there are; more than none.
        score: mean of their best scores.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    images: int
    score: float
    accuracy: float


@dataclasses.dataclass(frozen=True, slots=True)
class Calibration:
    """The bins that have images, from low to high, and the expected calibration error.

    Attributes:
        error: mean of |accuracy - score| over the bins, weighted by their images.
        bins: see `ReliabilityBin`.
    """

    error: float
    bins: tuple[ReliabilityBin, ...]


def calibrate(scores: Floats, is_right: Booleans) -> Calibration | None:
    """The calibration of best scores.

    Args:
        scores: of the best label, N.
        is_right: whether it is the truth, N.

    Returns:
        None where there are no images, or scores that are no probabilities: outside of [0, 1].
    """
    if not len(scores) or scores.min() < 0.0 or scores.max() > 1.0:
        return None
    edges = np.linspace(0.0, 1.0, BINS + 1)
    at = np.searchsorted(edges[1:-1], scores)
    images = np.bincount(at, minlength=BINS)
    score_sums = np.bincount(at, scores, BINS)
    right = np.bincount(at, is_right, BINS)
    bins = tuple(
        ReliabilityBin(
            *(float(edges[i]), float(edges[i + 1]), int(images[i])),
            *(float(score_sums[i] / images[i]), float(right[i] / images[i])),
        )
        for i in np.flatnonzero(images)
    )
    gaps = (each.images * abs(each.accuracy - each.score) for each in bins)
    return Calibration(sum(gaps) / len(scores), bins)
