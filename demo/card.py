"""What was measured of a model, and the card that tells a reader of it."""

import dataclasses
from collections import Counter

from demo.draw import LABELS

ACCURACY_MIN = 0.97

_CARD = """\
---
library_name: transformers
pipeline_tag: image-classification
---

# A demo model: shapes and patterns

A vision transformer with {weights:,} weights that tells {classes} kinds of drawn pictures apart:
{labels}.

It is here so that the project can be tried, and tested, without a download. It knows nothing of
photographs: give it one and it still answers with one of these names.

## How it was made

`python -m demo.train --seed {training_seed} --steps {steps}` drew {pictures:,} pictures with
`demo/draw.py`, each in colours, place, turn, scale, light and noise of its own, and trained the
weights from nothing on them. Each picture was seen once, and prepared as `preprocessor_config.json`
says: squeezed to 64×64 pixels whatever its shape, values scaled to -1..1. No other data took part.

## How good it is

Right on {accuracy:.1%} of {count:,} pictures of another seed ({measuring_seed}), measured through
the saved image processor. The training script keeps no model below {accuracy_min:.0%}.

{mistakes}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Measurement:
    """How a model did on drawn pictures.

    `pairs` counts every (true label, predicted label); its counts add up to `count`.
    """

    seed: int
    count: int
    pairs: Counter[tuple[str, str]]

    @property
    def accuracy(self) -> float:
        """The share of pictures that got their own label, 0 to 1."""
        return sum(n for (true, guess), n in self.pairs.items() if true == guess) / self.count

    def mistakes(self) -> list[tuple[str, str, int]]:
        """Every (true label, predicted label, count) that is wrong, the most frequent first."""
        return [(true, guess, n) for (true, guess), n in self.pairs.most_common() if true != guess]


def _mistakes_table(measured: Measurement) -> str:
    if not measured.mistakes():
        return "It made no mistake on them."
    lines = [f"| {true} | {guess} | {n} |" for true, guess, n in measured.mistakes()]
    return "\n".join(["| drawn | taken for | pictures |", "|---|---|---:|", *lines])


def model_card(
    measured: Measurement, training_seed: int, steps: int, pictures: int, weights: int
) -> str:
    """The model card, in Markdown.

    Args:
        measured: on pictures that the training did not see.
        training_seed: of the weights and of the pictures trained on.
        steps: batches trained on.
        pictures: drawn for training, in all.
        weights: how many numbers the model holds.
    """
    return _CARD.format(
        weights=weights,
        classes=len(LABELS),
        labels=", ".join(LABELS),
        training_seed=training_seed,
        steps=steps,
        pictures=pictures,
        accuracy=measured.accuracy,
        count=measured.count,
        measuring_seed=measured.seed,
        accuracy_min=ACCURACY_MIN,
        mistakes=_mistakes_table(measured),
    )
