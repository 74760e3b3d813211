"""What the page of a comparison shows: numbers, and the rows of images whose label changed."""

import dataclasses
import itertools
from collections.abc import Iterator

from imgcls_beam.analysis.compared_runs import ComparedRuns
from imgcls_beam.analysis.report_page.page_facts import Indices, ReportedImage

SIDES = "A", "B"


@dataclasses.dataclass(frozen=True, slots=True)
class PairImages:
    """Some images of one best label in A and another in B.

    Attributes:
        label_a: best label in A.
        label_b: best label in B.
        images: how many there are.
        on_page: those that the page has, in the order of `ComparisonFacts.images`.
        sheet: those that its contact sheet shows.
    """

    label_a: str
    label_b: str
    images: int
    on_page: Indices
    sheet: Indices


@dataclasses.dataclass(frozen=True, slots=True)
class ComparisonFacts:
    """All that the page of a comparison shows.

    Attributes:
        compared: both runs, and their comparison.
        images: rows of B whose label is another one in A, with the labels of A; those of which both
            are the most sure come first.
        pairs: of labels, those of the most images first, up to a limit.
        first: images to look at first.
    """

    compared: ComparedRuns
    images: tuple[ReportedImage, ...]
    pairs: tuple[PairImages, ...]
    first: Indices

    @property
    def sides(self) -> tuple[str, str]:
        """What both are called."""
        return SIDES

    def list_pictured(self) -> Iterator[int]:
        """The images to show a picture of: the first ones, then some of each pair in turn."""
        turns = itertools.zip_longest(*(pair.sheet for pair in self.pairs))
        in_turn = (index for turn in turns for index in turn if index is not None)
        yield from dict.fromkeys((*self.first, *in_turn))
