"""Whether two ways say the same: a benchmark of wrong answers is none."""

import dataclasses

from bench.peers import Answers

TOLERANCE = 1e-5
"""The largest difference of a score that the contract allows in float32."""


@dataclasses.dataclass(frozen=True, slots=True)
class Agreement:
    """Two ways over the same images.

    Attributes:
        images: how many there are.
        same_top: on how many the best label is the same.
        largest_difference: between two scores of the same image and label.
    """

    images: int
    same_top: int
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Every best label is the same, and every score within `TOLERANCE`."""
        return self.same_top == self.images and self.largest_difference <= TOLERANCE


def compare(ours: Answers, theirs: Answers) -> Agreement:
    """Compares image by image; a label that only one of them names counts with its whole score.

    Raises:
        ValueError: they are not about the same images.
    """
    if ours.keys() != theirs.keys():
        raise ValueError(f"{len(ours.keys() ^ theirs.keys())} images have only one answer")
    pairs = [(ours[name], theirs[name]) for name in ours]
    return Agreement(
        images=len(pairs),
        same_top=sum(one[0][0] == other[0][0] for one, other in pairs),
        largest_difference=max(_difference(dict(one), dict(other)) for one, other in pairs),
    )


def _difference(one: dict[str, float], other: dict[str, float]) -> float:
    labels = one.keys() | other.keys()
    return max(abs(one.get(label, 0.0) - other.get(label, 0.0)) for label in labels)
