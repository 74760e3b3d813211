"""One pass over the rows of a run: counts of all, and the few rows that a report shows."""

import collections
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from imgcls_beam.analysis.report_page.earlier_labels import EarlierLabels
from imgcls_beam.analysis.report_page.kept_rows import (
    Lowest,
    WantedRow,
    digest_uri,
    to_images,
)
from imgcls_beam.analysis.report_page.page_facts import ReportedImage
from imgcls_beam.analysis.report_page.score_counts import ScoreCounts, count_by_kind
from imgcls_beam.analysis.scored_rows import (
    are_probabilities,
    find_certainties,
    find_functions,
    to_floats,
)

MAX_ROWS = 10_000
"""Of a run those that a page has, in all its sections; of a longer run some are drawn by chance."""
OF_A_LABEL = 24
_LEAST_CERTAIN, _FLIPPED, _OF_AN_ERROR = 24, 24, 8
_MAX_DISTINCT = 4096
"""Labels of which images are kept while rows are read: those that come first."""


class _Row(NamedTuple):
    """The cells that decide what becomes of a row."""

    uri: str
    label: str | None
    score: float | None
    error: dict[str, str] | None
    certainty: float
    is_probability: bool


class _Offer(NamedTuple):
    """A row that may be kept, and where, at which ranks."""

    row: WantedRow
    digest: int
    places: Sequence[tuple[Lowest, float]]


_CELLS = ("image_uri", "top_label", "top_score", "error")


class Tally:
    """What was seen of the rows by now.

    Attributes:
        rows: how many.
        statuses: rows by status.
        problems: error rows by `stage: code`.
        labels: good rows by best label.
        sums: of their best scores.
        raw_labels: those of which a row's scores are not known to be probabilities.
        functions: what made the scores of good rows, as indices in `spec.FUNCTIONS`.
        scores: rows by best score.
        margins: the same of the margins.
        compared: good rows of which the earlier run has one too.
        flips: of these, those with another label, by both labels.
        drawn: rows drawn by chance.
        least_certain: rows of the smallest margin.
        flipped: rows with another label than before, largest margin first.
        of_label: rows drawn by chance, by label.
        of_problem: the first rows, by problem.
        asked: rows of the images that are asked for, by URI.
    """

    def __init__(
        self,
        earlier: EarlierLabels | None = None,
        truths: Mapping[str, str] | None = None,
        asked: Collection[str] = (),
    ) -> None:
        """Begins with no row.

        Args:
            earlier: what to compare with.
            truths: the right labels by URI, as far as they are known.
            asked: URIs of images that are kept in any case.
        """
        self._earlier, self._truths, self._asked = earlier, truths or {}, asked
        self.asked: dict[str, ReportedImage] = {}
        self.rows = self.compared = 0
        self.statuses: collections.Counter[str] = collections.Counter()
        self.problems: collections.Counter[str] = collections.Counter()
        self.labels: collections.Counter[str] = collections.Counter()
        self.sums: collections.defaultdict[str, float] = collections.defaultdict(float)
        self.flips: collections.Counter[tuple[str, str]] = collections.Counter()
        self.raw_labels: set[str] = set()
        self.functions: set[int] = set()
        self.scores = self.margins = ScoreCounts()
        self.drawn = Lowest(MAX_ROWS)
        self.least_certain, self.flipped = Lowest(_LEAST_CERTAIN), Lowest(_FLIPPED)
        self.of_label: dict[str, Lowest] = {}
        self.of_problem: dict[str, Lowest] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes in a batch of `kept_rows.COLUMNS`."""
        functions = find_functions(batch)
        probable = are_probabilities(functions)
        is_good = batch["top_score"].is_valid().to_numpy(zero_copy_only=False)
        self.functions.update(functions[is_good].tolist())
        self.scores = self.scores.add(count_by_kind(batch["top_score"], probable))
        self.margins = self.margins.add(count_by_kind(batch["top_margin"], probable))
        scores, margins = (to_floats(batch[name]) for name in ("top_score", "top_margin"))
        certainties = find_certainties(scores, margins, functions)
        columns = (batch[name].to_pylist() for name in _CELLS)
        cells = (*columns, certainties.tolist(), probable.tolist())
        self.rows += len(batch)
        self.statuses.update(batch["status"].to_pylist())
        rows = map(_Row._make, zip(*cells, strict=True))
        offers = [each for each in itertools.starmap(self._add_row, enumerate(rows)) if each]
        for offer, image in zip(
            offers, to_images(batch, [each.row for each in offers]), strict=True
        ):
            self._keep(offer, image)

    def _add_row(self, index: int, row: _Row) -> _Offer | None:
        """Counts a row; None where it cannot be among those that are kept."""
        digest, before = digest_uri(row.uri), None
        places: list[tuple[Lowest, float]] = [(self.drawn, 0.0)]
        if row.label is not None and row.score is not None:
            before = self._look_back(digest, row.label)
            places += self._place_good(row, row.label, row.score, is_flip=before is not None)
        elif row.error is not None:
            places += self._place_bad(f"{row.error['stage']}: {row.error['code']}")
        if not self.drawn.admits(0.0, digest):  # of a short run every row is kept
            places = [(kept, rank) for kept, rank in places if kept.admits(rank, digest)]
            if not places and row.uri not in self._asked:
                return None
        return _Offer(WantedRow(index, before, self._truths.get(row.uri)), digest, places)

    def _keep(self, offer: _Offer, image: ReportedImage) -> None:
        """Keeps an image where it still belongs: others of its batch may have come before it."""
        for kept, rank in offer.places:
            if kept.admits(rank, offer.digest):
                kept.add(rank, offer.digest, image)
        if image.uri in self._asked:
            self.asked.setdefault(image.uri, image)

    def _look_back(self, digest: int, label: str) -> str | None:
        """The label in the earlier run, where it is another."""
        before = None if self._earlier is None else self._earlier.by_digest.get(digest)
        if before is None:
            return None
        self.compared += 1
        if before == label:
            return None
        self.flips[before, label] += 1
        return before

    def _place_good(
        self, row: _Row, label: str, score: float, *, is_flip: bool
    ) -> list[tuple[Lowest, float]]:
        self.labels[label] += 1
        self.sums[label] += score
        if not row.is_probability:
            self.raw_labels.add(label)
        places = [(self.least_certain, row.certainty)]
        if is_flip:
            places.append((self.flipped, -row.certainty))
        if len(self.of_label) < _MAX_DISTINCT:
            self.of_label.setdefault(label, Lowest(OF_A_LABEL))
        if label in self.of_label:
            places.append((self.of_label[label], 0.0))
        return places

    def _place_bad(self, problem: str) -> list[tuple[Lowest, float]]:
        self.problems[problem] += 1
        kept = self.of_problem.setdefault(problem, Lowest(_OF_AN_ERROR))
        return [(kept, float(self.problems[problem]))]
