"""Scores of images, means and histograms → the values that the template places."""

import itertools
from collections.abc import Sequence
from typing import Any

from imgcls_beam.analysis.report_page.page_facts import LabelShare, ShownScore
from imgcls_beam.analysis.report_page.page_text import spell_score
from imgcls_beam.analysis.report_page.score_counts import ScoreCounts


def spell_best(labels: Sequence[ShownScore], *, is_probability: bool) -> str:
    """The score of the best label; empty where there is none."""
    return spell_score(labels[0].score, is_probability=is_probability) if labels else ""


def spell_mean(share: LabelShare) -> str:
    """The mean of a label's best scores."""
    if not share.count:
        return "–"
    return spell_score(share.mean_score, is_probability=share.has_probabilities)


def note_raw(scores: ScoreCounts) -> str:
    """Why a mean over all rows is no probability, where it is none."""
    if not scores.raw:
        return ""
    return "of different functions" if any(scores.bins) else "no function applied"


def to_histogram(scores: ScoreCounts) -> dict[str, Any]:
    """Bars of the probabilities, and words on the other numbers."""
    below, *inside, above = scores.bins
    # What rounding takes out of 0 to 1 belongs to the ends.
    inside[0], inside[-1] = inside[0] + below, inside[-1] + above
    tallest, bins = max(*inside, 1), len(inside)
    words = [
        f"{index / bins:g} to {(index + 1) / bins:g}: {_spell_images(count)}"
        for index, count in enumerate(inside)
    ]
    # What is there can be seen, be it one of a million.
    heights = [max(round(100 * count / tallest, 2), 1.5 * (count > 0)) for count in inside]
    return {
        "bars": [{"height": h, "words": w} for h, w in zip(heights, words, strict=True)],
        "total": sum(inside),
        "spoken": "; ".join(itertools.compress(words, inside)),
        "raw": _describe_raw(scores),
    }


def _describe_raw(scores: ScoreCounts) -> str:
    """Where the numbers lie that are no probabilities, and so in no bar."""
    if not scores.raw:
        return ""
    what = _spell_images(scores.raw, "more " if any(scores.bins) else "")
    ends = dict.fromkeys(f"{end:.3f}" for end in (scores.lowest, scores.highest))
    return f"{what}, {' to '.join(ends)}: no function was applied to these scores."


def _spell_images(count: int, which: str = "") -> str:
    return f"{count:,} {which}image{'s' * (count != 1)}"
