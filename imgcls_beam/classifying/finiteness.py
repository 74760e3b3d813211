"""Weights that hold NaN or infinity, and whether a prediction would show it. Heavy: imports torch.

What is not finite is filled with two different values, as a gap is (`gaps`), while the rest of its
weight stays. Where the model answers the probes the same with both, and as it is, no prediction
reads those numbers: the head of another task, a token for training.
"""

import dataclasses
import functools
from collections.abc import Collection, Iterator, Mapping

import torch

from imgcls_beam.classifying.checkpoints import Checkpoint
from imgcls_beam.classifying.gaps import MOVING_FAULTS, Ask, draw_values, find_moving, has_moved
from imgcls_beam.errors import ModelError
from imgcls_beam.scoring import ModelSource

_MATRIX_SCALE = 0.02
"""Of numbers that a matrix is filled with while another weight is looked at: what comes through it
is neither lost nor too large. What has one dimension, the variance of a norm say, gets ones."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Broken:
    """A weight that is not finite everywhere.

    Attributes:
        weight: of the model.
        found: a copy, as its file had it.
    """

    weight: torch.Tensor
    found: torch.Tensor

    def fill(self, values: torch.Tensor) -> None:
        """Puts values in the place of what is not finite."""
        fitting = values.to(self.found)
        self.weight.copy_(torch.where(torch.isfinite(self.found), self.found, fitting))

    def fill_mildly(self) -> None:
        """The same with values that let through what other weights give."""
        shape = self.found.shape
        self.fill(
            draw_values(self.found, 0) * _MATRIX_SCALE if len(shape) > 1 else torch.ones(shape)
        )

    def restore(self) -> None:
        """Puts back what its file had."""
        self.weight.copy_(self.found)


def check_finite(checkpoint: Checkpoint, source: ModelSource, ask: Ask) -> None:
    """Checks the weights that the files had; they are as they were afterwards.

    Args:
        checkpoint: as it was loaded, its gaps filled with numbers.
        source: is named.
        ask: asks this model.

    Raises:
        ModelError: one holds NaN or infinity, and a prediction reads it.
    """
    broken = dict(_find_broken(checkpoint))
    moves = functools.partial(_moves, broken, ask)
    if (name := next(find_moving(list(broken), moves), None)) is not None:
        problem = f"the weight {name} holds NaN or infinity; it cannot predict"
        raise ModelError(f"{source.model_id}: {problem}")


def _find_broken(checkpoint: Checkpoint) -> Iterator[tuple[str, _Broken]]:
    """The running variance of a norm may be one, too."""
    for name, weight in checkpoint.model.state_dict().items():
        if name not in checkpoint.missing and not bool(torch.isfinite(weight).all()):
            yield name, _Broken(weight, weight.clone())


def _moves(broken: Mapping[str, _Broken], ask: Ask, names: Collection[str]) -> bool:
    """Whether the answer changes with these weights alone, while the others are finite."""
    looked_at = [broken[name] for name in names]
    answers = []
    try:
        for each in broken.values():  # before the others: two names may be of one weight
            each.fill_mildly()
        for seed in (1, 1, 2):
            for each in looked_at:
                each.fill(draw_values(each.found, seed))
            answers.append(ask())
        for each in looked_at:
            each.restore()
        answers.append(ask())
    except MOVING_FAULTS:
        return True
    finally:
        for each in broken.values():
            each.restore()
    return has_moved(*answers)
