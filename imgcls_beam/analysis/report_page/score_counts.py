"""Best scores, or margins, of many rows: probabilities in bins, other numbers by their range."""

import math
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.analysis.scored_rows import Booleans
from imgcls_beam.summary import BINS, count_scores


class ScoreCounts(NamedTuple):
    """How many there are, and where.

    Attributes:
        bins: of probabilities: below 0, bins of equal width from 0 to 1, above 1.
        raw: how many are no probabilities, as no function was applied to them.
        lowest: of these; infinite where there are none.
        highest: of these.
    """

    bins: tuple[int, ...] = (0,) * (BINS + 2)
    raw: int = 0
    lowest: float = math.inf
    highest: float = -math.inf

    def add(self, other: "ScoreCounts") -> "ScoreCounts":
        """Both together."""
        return ScoreCounts(
            tuple(map(sum, zip(self.bins, other.bins, strict=True))),
            self.raw + other.raw,
            min(self.lowest, other.lowest),
            max(self.highest, other.highest),
        )


def count_by_kind(values: pa.Array, is_probability: Booleans) -> ScoreCounts:
    """Counts the values of N rows.

    Args:
        values: null where a row has none, N.
        is_probability: of each row's scores, N.
    """
    bins = count_scores(values.filter(pa.array(is_probability)))
    raw = values.filter(pa.array(~is_probability)).drop_null()
    if not len(raw):
        return ScoreCounts(bins)
    ends = pc.min_max(raw)
    return ScoreCounts(bins, len(raw), ends["min"].as_py(), ends["max"].as_py())
