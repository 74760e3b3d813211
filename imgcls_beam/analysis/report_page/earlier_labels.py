"""The best labels of an earlier run, by image, in bounded memory; how far two mixes differ."""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence

from imgcls_beam.analysis.report_page.kept_rows import digest_uri
from imgcls_beam.analysis.report_page.score_counts import ScoreCounts, count_by_kind
from imgcls_beam.analysis.run_rows import RunRows
from imgcls_beam.analysis.scored_rows import are_probabilities, find_functions

MAX_IMAGES = 2_000_000
"""Of which the labels are held, some 250 MB; of a longer run it is a share of the images."""
_DIGESTS = 1 << 64
_SMOOTHING = 0.5
"""Added to each count, so that a label which one run lacks gives a number (Jeffreys' prior)."""


@dataclasses.dataclass(frozen=True, slots=True)
class EarlierLabels:
    """What an earlier run says.

    Attributes:
        by_digest: best label, by `digest_uri`.
        below: images of lower digests are in it.
        counts: good rows by best label, of all.
        scores: good rows by best score.
        functions: what made these, as indices in `spec.FUNCTIONS`; it is this run's own.
    """

    by_digest: Mapping[int, str]
    below: int
    counts: Mapping[str, int]
    scores: ScoreCounts
    functions: frozenset[int]

    @property
    def sampled_ratio(self) -> float:
        """The share of images whose labels are held."""
        return self.below / _DIGESTS


def read_labels(run: RunRows, model_key: str, max_images: int = MAX_IMAGES) -> EarlierLabels:
    """Reads the best labels of a model in an earlier run, in one pass.

    Args:
        run: the earlier run.
        model_key: whose rows.
        max_images: of so many the labels are held, about.

    Raises:
        ConfigError: its rows cannot be read.
    """
    rows = max(run.record.listed, 1)
    below = _DIGESTS if rows <= max_images else _DIGESTS * max_images // rows
    found: dict[int, str] = {}
    counts: collections.Counter[str] = collections.Counter()
    scores, used = ScoreCounts(), set[int]()
    for batch in run.read(("image_uri", "top_label", "top_score", "params"), model_key, "ok"):
        functions = find_functions(batch)
        used.update(functions.tolist())
        scores = scores.add(count_by_kind(batch["top_score"], are_probabilities(functions)))
        labels = batch["top_label"].to_pylist()
        counts.update(labels)
        digests = map(digest_uri, batch["image_uri"].to_pylist())
        found |= {key: label for key, label in zip(digests, labels, strict=True) if key < below}
    return EarlierLabels(found, below, counts, scores, frozenset(used))


def measure_shift(before: Sequence[int], after: Sequence[int]) -> float:
    """The population stability index of two rows of counts, of the same kinds in the same order.

    The sum of (p - q) ln(p / q) over the kinds, where p and q are shares, half a count added to
    each: 0 where both mixes are the same; up to 0.1 is read as stable, above 0.25 as another mix.
    """
    kinds = len(before)
    old_total, new_total = (sum(counts) + _SMOOTHING * kinds for counts in (before, after))
    index = 0.0
    for old, new in zip(before, after, strict=True):
        q, p = (old + _SMOOTHING) / old_total, (new + _SMOOTHING) / new_total
        index += (p - q) * math.log(p / q)
    return index
