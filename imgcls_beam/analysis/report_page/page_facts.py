"""What a report shows of a run: plain values, bounded in number, and no picture yet."""

import dataclasses
import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from imgcls_beam.analysis.report_page.score_counts import ScoreCounts

if TYPE_CHECKING:
    from imgcls_beam.analysis.evaluating import Evaluation


@dataclasses.dataclass(frozen=True, slots=True)
class RunFacts:
    """The head of a report.

    Attributes:
        run_id: name of the run.
        run_date: the day to which its rows belong.
        started_at: UTC; None where that is not known.
        finished_at: UTC.
        models: for people, `id@revision`.
        counts: images by what became of them, and `listed`.
        images_per_s: with start-up; None where that is not known.
        details: name and value of what else is known, in order.
    """

    run_id: str
    run_date: datetime.date
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    models: tuple[str, ...]
    counts: Mapping[str, int]
    images_per_s: float | None = None
    details: tuple[tuple[str, str], ...] = ()


class ShownScore(NamedTuple):
    """One label and its score."""

    label: str
    score: float


class ReportedImage(NamedTuple):
    """A row of the run, as far as the report shows it: a page has thousands, so no data class.

    Attributes:
        uri: of the image.
        version: of its content, by which it is looked at again.
        status: `ok`, `error` or `skipped`.
        labels: best first; none where there is no prediction.
        margin: best score minus the second best.
        problem: `stage: code` of an error.
        message: the error's sentence.
        width_px: upright.
        height_px: upright.
        size_bytes: of the encoded image.
        format: Pillow's name of it.
        label_before: the best label in the previous run, where it was another.
        truth: the label that is right, where that is known.
        labels_before: those of the other side of a comparison; none in a report.
        has_probabilities: whether the scores of `labels` are known to be probabilities.
        had_probabilities: the same of those of `labels_before`.
    """

    uri: str
    version: str | None
    status: str
    labels: tuple[ShownScore, ...] = ()
    margin: float | None = None
    problem: str = ""
    message: str = ""
    width_px: int | None = None
    height_px: int | None = None
    size_bytes: int | None = None
    format: str | None = None
    label_before: str | None = None
    truth: str | None = None
    labels_before: tuple[ShownScore, ...] = ()
    has_probabilities: bool = False
    had_probabilities: bool = False


Indices = tuple[int, ...]
"""Of images in `ReportFacts.images`."""


@dataclasses.dataclass(frozen=True, slots=True)
class LabelShare:
    """How often a label was the best one.

    Attributes:
        label: its text.
        count: rows.
        mean_score: of these rows.
        count_before: rows of the previous run; None where there is none.
        images: some of them, highest score first.
        has_probabilities: whether the scores of all these rows are known to be probabilities.
    """

    label: str
    count: int
    mean_score: float
    count_before: int | None = None
    images: Indices = ()
    has_probabilities: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ErrorGroup:
    """The rows that failed for one reason.

    Attributes:
        problem: `stage: code`.
        count: rows.
        images: the first of them.
    """

    problem: str
    count: int
    images: Indices = ()


@dataclasses.dataclass(frozen=True, slots=True)
class LabelChange:
    """How many images changed from one best label to another."""

    before: str
    after: str
    count: int


@dataclasses.dataclass(frozen=True, slots=True)
class RunChange:
    """What is different from the previous run.

    Attributes:
        run_id: of the previous run.
        run_date: of the previous run.
        models: of the previous run.
        classified: its rows with a prediction.
        compared: images with a good row in both.
        flipped: of these, those with another best label.
        flips: from which label to which, the most frequent first.
        images: some that flipped.
        label_index: population stability index of the label mix.
        score_index: of the best scores that are probabilities; None where they cannot be compared,
            as the functions of the two runs are not the same, or there was none.
        sampled_ratio: the share of images that was compared; 1.0 for all.
    """

    run_id: str
    run_date: datetime.date
    models: tuple[str, ...]
    classified: int
    compared: int
    flipped: int
    flips: tuple[LabelChange, ...]
    images: Indices
    label_index: float
    score_index: float | None
    sampled_ratio: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Confusion:
    """Images of one truth that have another best label.

    Attributes:
        truth: the label that is right.
        predicted: the best label.
        images: some of them, highest score first.
    """

    truth: str
    predicted: str
    images: Indices


@dataclasses.dataclass(frozen=True, slots=True)
class TruthFacts:
    """The run held against the truth, and images of its most frequent confusions."""

    evaluation: "Evaluation"
    confusions: tuple[Confusion, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ReportFacts:
    """All that a report shows.

    Attributes:
        run: its head.
        images: some rows of the run, or all, each once.
        rows: how many the run has.
        labels: the most frequent first, up to a limit.
        label_count: how many labels there are.
        scores: rows by best score.
        margins: the same of the margins.
        least_certain: smallest margin first.
        errors: the most frequent first.
        change: None where there is no previous run, or nothing left of it.
        missing: the previous run of which nothing is left to compare, and why; empty for none.
        truth: None where no truth is known.
    """

    run: RunFacts
    images: tuple[ReportedImage, ...]
    rows: int
    labels: tuple[LabelShare, ...] = ()
    label_count: int = 0
    scores: ScoreCounts = ScoreCounts()
    margins: ScoreCounts = ScoreCounts()
    least_certain: Indices = ()
    errors: tuple[ErrorGroup, ...] = ()
    change: RunChange | None = None
    missing: str = ""
    truth: TruthFacts | None = None

    @property
    def sides(self) -> None:
        """A report has one side."""

    def list_pictured(self) -> Iterator[int]:
        """The images to show a picture of, each once, those that matter most first."""
        flipped = self.change.images if self.change else ()
        sheets = [share.images for share in self.labels]
        longest = max(map(len, sheets), default=0)
        # One of each label, then the second of each: where a limit cuts, every label has some.
        in_turn = [sheet[turn] for turn in range(longest) for sheet in sheets if turn < len(sheet)]
        confused = [index for each in self._list_confusions() for index in each.images]
        yield from dict.fromkeys((*self.least_certain, *flipped, *confused, *in_turn))

    def _list_confusions(self) -> tuple[Confusion, ...]:
        return self.truth.confusions if self.truth else ()


class PageImages(Protocol):
    """What any page has: images, and some of them to show a picture of."""

    @property
    def images(self) -> Sequence[ReportedImage]:
        """Each once."""

    @property
    def sides(self) -> tuple[str, str] | None:
        """What the two sides of a comparison are called; None in a report."""

    def list_pictured(self) -> Iterator[int]:
        """Indices of those to show a picture of, those that matter most first."""


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """A small picture of an image, or why there is none.

    Attributes:
        data_uri: a JPEG; empty where there is none.
        width_px: of the small picture.
        height_px: of the small picture.
        problem: a short sentence.
    """

    data_uri: str = ""
    width_px: int = 0
    height_px: int = 0
    problem: str = ""


Pictures = Mapping[int, Picture]
"""By the image's index in the page."""
