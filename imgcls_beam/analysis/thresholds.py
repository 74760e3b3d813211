"""Where to cut: precision and recall of a label at each threshold on its score.

A row has its best labels only, so the score of another label is not known; but it is not above the
row's last score, nor, where scores add up to 1, above what the others leave. Above the greatest of
these bounds (`exact_above`) no image without the label could have been taken, so precision and
recall are exact there. Below it they are not known, and no threshold is given.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from imgcls_beam.analysis.class_scores import divide
from imgcls_beam.analysis.scored_rows import Floats, Integers, ScoredRows


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What a threshold is chosen for: a precision, else a recall, else the best F1.

    Attributes:
        precision: at least so much, with the greatest recall.
        recall: at least so much, with the greatest precision.
    """

    precision: float | None = None
    recall: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ThresholdPoint:
    """A threshold: an image is taken where the label's score is not below it.

    Attributes:
        threshold: a score that an image has.
        rounded: the same images are taken at this: `threshold`, cut down to the fewest digits
            that are above the next lower score, three at least.
        precision: of the images that are taken, the share of those that have the label in truth.
        recall: of those that have the label in truth, the share that is taken.
        f1: harmonic mean of the two.
        taken: how many images are taken.
    """

    threshold: float
    rounded: float
    precision: float
    recall: float
    f1: float
    taken: int


@dataclasses.dataclass(frozen=True, slots=True)
class LabelThresholds:
    """The thresholds of one label.

    Attributes:
        label: its name.
        images: how many it is the truth of.
        exact_above: precision and recall are known for thresholds above it only; None where all
            are known.
        best: the threshold for what is wanted; None where none reaches it.
        curve: points from the highest threshold to the lowest that is exact, thinned to `POINTS`.
    """

    label: str
    images: int
    exact_above: float | None
    best: ThresholdPoint | None
    curve: tuple[ThresholdPoint, ...]


POINTS = 21
"""Points of a curve at the most: its ends, and those between at equal steps."""
_LEAST_DIGITS, _MOST_DIGITS = 3, 18


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """All exact points of one label, from the highest threshold to the lowest, T.

    Attributes:
        thresholds: distinct scores, falling.
        taken: images that are not below.
        right: those of them that have the label in truth.
        images: how many have it in truth, at whatever score.
        below: what every threshold is above; None where there is no such bound.
    """

    thresholds: Floats
    taken: Integers
    right: Integers
    images: int
    below: float | None

    @property
    def precision(self) -> Floats:
        """At each threshold."""
        return divide(self.right, self.taken)

    @property
    def recall(self) -> Floats:
        """At each threshold."""
        return self.right / self.images if self.images else np.zeros(len(self.right))

    @property
    def f1(self) -> Floats:
        """At each threshold."""
        return divide(2 * self.right, self.taken + self.images)

    def point_at(self, index: int) -> ThresholdPoint:
        """One of the points."""
        threshold, is_last = float(self.thresholds[index]), index + 1 == len(self.thresholds)
        return ThresholdPoint(
            threshold=threshold,
            rounded=cut_down(
                threshold, self.below if is_last else float(self.thresholds[index + 1])
            ),
            precision=float(self.precision[index]),
            recall=float(self.recall[index]),
            f1=float(self.f1[index]),
            taken=int(self.taken[index]),
        )


def cut_down(threshold: float, below: float | None) -> float:
    """A number of few digits that is not above the threshold, but above the next lower score.

    Args:
        threshold: at which images are taken.
        below: the next lower score; None for none.
    """
    for digits in range(_LEAST_DIGITS, _MOST_DIGITS):
        found: float = math.floor(threshold * 10**digits) / 10**digits
        if found <= threshold and (below is None or found > below):
            return found
    return threshold


def spell_threshold(rounded: float) -> str:
    """Its digits, three after the point at least; never in powers of ten, so it can be typed."""
    return np.format_float_positional(rounded, min_digits=_LEAST_DIGITS)


def find_thresholds(
    rows: ScoredRows, labels: tuple[str, ...], truths: Integers, wanted: Wanted
) -> list[LabelThresholds]:
    """The thresholds of each label that is a truth, by name."""
    images = np.bincount(truths, minlength=len(labels))
    found = [
        _choose(labels[at], exact_above, curve, wanted)
        for at, exact_above, curve in trace_curves(rows, truths, images)
    ]
    return sorted(found, key=lambda each: each.label)


def trace_curves(
    rows: ScoredRows, truths: Integers, images: Integers
) -> Iterator[tuple[int, float | None, Curve]]:
    """The exact curve of each label that is a truth: its id, `exact_above`, and the points.

    Args:
        rows: N of them.
        truths: label ids, N.
        images: how often each label is the truth, by label id.
    """
    bounds = bound_absent(rows)
    falling = np.argsort(-bounds, kind="stable")
    places = np.empty_like(falling)
    places[falling] = np.arange(len(falling))
    order = np.argsort(rows.label_ids, kind="stable")  # all else is made label by label: memory
    ends = np.cumsum(np.bincount(rows.label_ids, minlength=len(images)))
    for at in np.flatnonzero(images):
        own = order[ends[at - 1] if at else 0 : ends[at]]
        own = own[np.argsort(-rows.scores[own], kind="stable")]
        kept, own = rows.scores[own], np.searchsorted(rows.starts, own, side="right") - 1
        # Two classes of one name: the better score counts, which comes first.
        first = np.sort(np.unique(own, return_index=True)[1])
        own, kept = own[first], kept[first]
        first_absent = _find_gap(np.sort(places[own]))
        exact_above = float(bounds[falling[first_absent]]) if first_absent < rows.rows else None
        if exact_above is not None:
            kept = kept[kept > exact_above]
        is_right = truths[own[: len(kept)]] == at
        yield int(at), exact_above, _trace(kept, is_right, int(images[at]), exact_above)


def bound_absent(rows: ScoredRows) -> Floats:
    """What the score of a label that a row does not have cannot exceed, N."""
    last = rows.scores[rows.starts[1:] - 1]
    sums = np.add.reduceat(rows.scores, rows.starts[:-1]) if rows.rows else last
    left = np.maximum(1.0 - sums, 0.0)
    return np.where(rows.is_softmax, np.minimum(last, left), last)


def _find_gap(places: Integers) -> int:
    """The first number from 0 that is not among these, which rise."""
    gaps = np.flatnonzero(places != np.arange(len(places)))
    return int(gaps[0]) if len(gaps) else len(places)


def _trace(scores: Floats, is_right: Integers, images: int, below: float | None) -> Curve:
    """A point for each distinct score, of scores that fall."""
    is_last = np.append(scores[1:] != scores[:-1], np.ones(min(len(scores), 1), np.bool_))
    at = np.flatnonzero(is_last)
    return Curve(scores[at], at + 1, np.cumsum(is_right)[at], images, below)


def _choose(label: str, exact_above: float | None, curve: Curve, wanted: Wanted) -> LabelThresholds:
    points = len(curve.thresholds)
    shown = np.unique(np.linspace(0, points - 1, min(points, POINTS)).round().astype(np.int64))
    best = _find_best(curve, wanted)
    return LabelThresholds(
        label=label,
        images=curve.images,
        exact_above=exact_above,
        best=None if best is None else curve.point_at(best),
        curve=tuple(curve.point_at(index) for index in shown),
    )


def _find_best(curve: Curve, wanted: Wanted) -> int | None:
    """The index of the point for what is wanted; of equal ones that of the highest threshold."""
    goal, allowed = curve.f1, curve.right > 0
    if wanted.precision is not None:
        goal, allowed = curve.recall, allowed & (curve.precision >= wanted.precision)
    elif wanted.recall is not None:
        goal, allowed = curve.precision, curve.recall >= wanted.recall
    if not allowed.any():
        return None
    return int(np.argmax(np.where(allowed, goal, -1.0)))
