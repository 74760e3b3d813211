"""A run held against the truth → what its report shows of that, and of which images."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from imgcls_beam.analysis.report_page.page_facts import (
    Confusion,
    Indices,
    ReportedImage,
    TruthFacts,
)
from imgcls_beam.analysis.report_page.row_tally import Tally

if TYPE_CHECKING:
    from imgcls_beam.analysis.judged_runs import JudgedRun

_CONFUSIONS, _OF_A_CONFUSION = 40, 3

Confused = Mapping[tuple[str, str], Sequence[str]]
"""URIs of some images, by truth and best label."""


def find_confused(judged: "JudgedRun") -> Confused:
    """Some images of each of the most frequent confusions, highest score first."""
    from imgcls_beam.analysis.evaluating import list_misjudged  # loaded where a run was judged

    cells = [each for each in judged.evaluation.confusions if each.truth != each.predicted]
    return {
        (each.truth, each.predicted): list_misjudged(
            judged.rows, judged.truths, each, _OF_A_CONFUSION
        )
        for each in cells[:_CONFUSIONS]
    }


def list_truths(judged: "JudgedRun") -> dict[str, str]:
    """The right label by URI, of the images that can be judged."""
    pairs = zip(judged.rows.uris.to_pylist(), judged.truths.ids.tolist(), strict=True)
    return {uri: judged.truths.labels[label] for uri, label in pairs if label >= 0}


def to_truth_facts(
    judged: "JudgedRun",
    confused: Confused,
    tally: Tally,
    add_all: Callable[[list[ReportedImage]], Indices],
) -> TruthFacts:
    """The evaluation, with the images of its confusions.

    Args:
        judged: the run.
        confused: their URIs.
        tally: which has seen their rows.
        add_all: adds images to the page, and gives their indices.
    """
    confusions = [
        Confusion(*labels, add_all([tally.asked[uri] for uri in uris if uri in tally.asked]))
        for labels, uris in confused.items()
    ]
    return TruthFacts(judged.evaluation, tuple(confusions))
