"""Tables of scores that are drawn: what evaluation is held against scikit-learn with."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from imgcls_beam.analysis.scored_rows import Floats, Integers, ScoredRows
from imgcls_beam.analysis.truths import Truths


@dataclasses.dataclass(frozen=True)
class Drawn:
    """N images over C classes: every score (N, C), and the truth of each image."""

    labels: tuple[str, ...]
    every: Floats
    truths: Integers

    def to_rows(self, top_k: int) -> ScoredRows:
        """As rows have them: the best `top_k`, best first."""
        order = np.argsort(-self.every, axis=1, kind="stable")[:, :top_k]
        scores = np.take_along_axis(self.every, order, axis=1)
        count, kept = order.shape
        return ScoredRows(
            labels=self.labels,
            uris=pa.chunked_array([[f"gs://b/{index}.jpg" for index in range(count)]]),
            starts=np.arange(count + 1) * kept,
            label_ids=order.ravel(),
            scores=scores.ravel(),
            margins=np.full(count, np.nan),
            functions=np.full(count, int(np.allclose(self.every.sum(axis=1), 1.0))),
            attributes=pa.chunked_array([pa.nulls(count, pa.string())]),
            contents=pa.chunked_array([pa.nulls(count, pa.string())]),
            statuses={"ok": count},
        )

    def to_truths(self) -> Truths:
        return Truths(self.labels, self.truths, {})


def draw(seed: int, kind: str = "softmax", **changes: Any) -> Drawn:
    """A table by its number: few or many classes, balanced or not, ties in the scores or none."""
    generator = np.random.default_rng(seed)
    classes = changes.get("classes", int(generator.integers(2, 40)))
    count = changes.get("count", int(generator.integers(5, 600)))
    logits = generator.normal(0.0, generator.uniform(0.1, 4.0), (count, classes))
    weights = generator.dirichlet(np.full(classes, generator.uniform(0.2, 5.0)))
    truths = generator.choice(classes, count, p=weights)
    logits[np.arange(count), truths] += generator.uniform(0.0, 3.0)
    if kind == "softmax":
        every = np.exp(logits - logits.max(axis=1, keepdims=True))
        every /= every.sum(axis=1, keepdims=True)
    else:
        every = 1.0 / (1.0 + np.exp(-logits))
    if seed % 3 == 0:
        every = every.round(2) if kind != "softmax" else every
    return Drawn(tuple(f"label {i:02d}" for i in range(classes)), every, truths)
