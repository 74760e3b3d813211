"""Which stage holds a run up, and why: found in what its boards say."""

import dataclasses
import enum

from imgcls_beam.board import Progress
from imgcls_beam.errors import Stage

_SOON_S = 1.0
_FEW_IMAGES = 8
_MOST = 0.5


class Cause(enum.StrEnum):
    """Why a stage is the slowest."""

    STAGE = "stage"
    """It takes that long for each image."""
    ONE_IMAGE = "one_image"
    """One image takes longer than all others together."""
    ERRORS = "errors"
    """Most images fail, and what looks passing is tried again after a wait."""


@dataclasses.dataclass(frozen=True, slots=True)
class Slowest:
    """The slowest stage of a run.

    Attributes:
        stage: which.
        share: of the time for which any stage held workers up, 0.0 to 1.0.
        cause: why.
        longest_s: the longest time for which it held one of them up at once.
    """

    stage: Stage
    share: float
    cause: Cause
    longest_s: float


def find_slowest(progress: Progress) -> Slowest | None:
    """The stage that holds workers up for longest; None as long as there is little to go by.

    Workers go from image to image and do what cannot be done beforehand: so what they wait for,
    or work at, decides how fast the run is, and what is done meanwhile costs nothing.
    """
    total_s = sum(progress.held_s.values())
    if total_s < _SOON_S:
        return None
    name, held_s = max(progress.held_s.items(), key=lambda item: (item[1], item[0]))
    stage, longest_s = Stage(name), progress.longest_s.get(name, 0.0)
    cause = Cause.STAGE
    if progress.done >= _FEW_IMAGES and progress.error > _MOST * progress.done:
        cause = Cause.ERRORS
    elif stage is Stage.PREPARE and progress.listed >= _FEW_IMAGES and longest_s > _MOST * held_s:
        cause = Cause.ONE_IMAGE
    return Slowest(stage, held_s / total_s, cause, longest_s)
