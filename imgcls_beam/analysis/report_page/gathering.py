"""Rows of a run → the facts of its report, in one pass over them, with bounded memory."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from imgcls_beam.analysis.report_page.earlier_labels import (
    EarlierLabels,
    measure_shift,
    read_labels,
)
from imgcls_beam.analysis.report_page.kept_rows import COLUMNS, Lowest
from imgcls_beam.analysis.report_page.page_facts import (
    ErrorGroup,
    Indices,
    LabelChange,
    LabelShare,
    ReportedImage,
    ReportFacts,
    RunChange,
)
from imgcls_beam.analysis.report_page.row_tally import MAX_ROWS, OF_A_LABEL, Tally
from imgcls_beam.analysis.report_page.run_details import describe_run
from imgcls_beam.analysis.report_page.truth_facts import (
    Confused,
    find_confused,
    list_truths,
    to_truth_facts,
)
from imgcls_beam.analysis.run_rows import RunRows
from imgcls_beam.errors import RowsGoneError
from imgcls_beam.sinks import RecordedModel

if TYPE_CHECKING:
    from imgcls_beam.analysis.judged_runs import JudgedRun

_MAX_CHARS = 3_000_000
"""Of URIs and messages in a page, so that long names make no large file."""
_MAX_SHEETS, _MAX_LABELS, _MAX_FLIPS = 24, 200, 20
_PICTURED, _LEAST_PICTURED = 240, 4
"""Images in all contact sheets together at the most, and in one of them at the least."""
_IN_A_ROW = 8
"""Of the page at its full width, and on paper: `.grid` of `page.css`."""


@dataclasses.dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run to compare with, and the model in it whose rows are meant."""

    rows: RunRows
    model: RecordedModel


def gather_facts(
    rows: RunRows,
    model: RecordedModel,
    earlier: EarlierRun | None = None,
    judged: "JudgedRun | None" = None,
) -> ReportFacts:
    """Reads the rows of a model in a run once, and before that those of the earlier one.

    Args:
        rows: the run.
        model: whose rows.
        earlier: the run to compare with; None for none.
        judged: the same rows, held against the truth; None where none is known.

    Raises:
        ConfigError: rows cannot be read; where those of the earlier run are gone, it is left out.
    """
    known, missing = _read_earlier(earlier)
    confused = {} if judged is None else find_confused(judged)
    tally = _tally_rows(rows, model, known, judged, confused)
    pool = _Pool()
    change = None
    if earlier is not None and known is not None:
        change = _to_change(tally, earlier, known, pool)
    truth = None if judged is None else to_truth_facts(judged, confused, tally, pool.add_all)
    facts = ReportFacts(
        run=describe_run(rows, model, tally),
        images=(),
        rows=tally.rows,
        labels=tuple(_list_shares(tally, known, pool)),
        label_count=len(tally.labels),
        scores=tally.scores,
        margins=tally.margins,
        least_certain=pool.add_all(tally.least_certain.list_images()),
        errors=tuple(_list_errors(tally, pool)),
        change=change,
        missing=missing,
        truth=truth,
    )
    pool.fill(tally.drawn)
    return dataclasses.replace(facts, images=tuple(pool.images))


def _read_earlier(earlier: EarlierRun | None) -> tuple[EarlierLabels | None, str]:
    """What the earlier run says; else None, and why there is nothing left of it."""
    if earlier is None:
        return None, ""
    try:
        return read_labels(earlier.rows, earlier.model.key), ""
    except RowsGoneError as error:
        return None, f"Rows of run {earlier.rows.record.run_id} are gone: {error}."


def _tally_rows(
    rows: RunRows,
    model: RecordedModel,
    known: EarlierLabels | None,
    judged: "JudgedRun | None",
    confused: Confused,
) -> Tally:
    """Adds up the rows of a model, in one pass."""
    truths = None if judged is None else list_truths(judged)
    tally = Tally(known, truths, {uri for uris in confused.values() for uri in uris})
    for batch in rows.read(COLUMNS, model.key):
        tally.add(batch)
    return tally


class _Pool:
    """The images of a page, each once."""

    def __init__(self) -> None:
        self.images: list[ReportedImage] = []
        self._chars = 0
        self._indices: dict[int, int] = {}

    def add_all(self, images: Sequence[ReportedImage]) -> Indices:
        """The images' indices; those that are new come to the end."""
        return tuple(map(self._add, images))

    def fill(self, drawn: Lowest) -> None:
        """Adds images until the page has enough."""
        for image in drawn.list_images():
            if len(self.images) < MAX_ROWS and self._chars < _MAX_CHARS:
                self._add(image)

    def _add(self, image: ReportedImage) -> int:
        index = self._indices.setdefault(id(image), len(self.images))
        if index == len(self.images):
            self.images.append(image)
            self._chars += len(image.uri) + len(image.message)
        return index


def _list_shares(tally: Tally, known: EarlierLabels | None, pool: _Pool) -> Iterator[LabelShare]:
    frequent = _by_count(tally.labels)
    sheets = [label for label, _ in frequent if label in tally.of_label][:_MAX_SHEETS]
    each = _choose_length(len(sheets))
    for label, count in frequent[:_MAX_LABELS]:
        images = tally.of_label[label].list_images()[:each] if label in sheets else []
        images.sort(key=lambda image: -image.labels[0].score)
        yield LabelShare(
            label,
            count,
            tally.sums[label] / count,
            None if known is None else known.counts.get(label, 0),
            pool.add_all(images),
            label not in tally.raw_labels,
        )


def _choose_length(sheets: int) -> int:
    """Of each of so many contact sheets, in images: whole rows of a wide page, where it has one."""
    each = min(max(_PICTURED // max(sheets, 1), _LEAST_PICTURED), OF_A_LABEL)
    return each - each % _IN_A_ROW if each > _IN_A_ROW else each


def _list_errors(tally: Tally, pool: _Pool) -> Iterator[ErrorGroup]:
    for problem, count in _by_count(tally.problems):
        yield ErrorGroup(problem, count, pool.add_all(tally.of_problem[problem].list_images()))


def _to_change(tally: Tally, earlier: EarlierRun, known: EarlierLabels, pool: _Pool) -> RunChange:
    names = sorted({*tally.labels, *known.counts})
    old, new = ([counts.get(name, 0) for name in names] for counts in (known.counts, tally.labels))
    flips = sorted(tally.flips.items(), key=lambda pair: (-pair[1], pair[0]))
    record = earlier.rows.record
    return RunChange(
        run_id=record.run_id,
        run_date=record.run_date,
        models=(earlier.model.display_name,),
        classified=sum(known.counts.values()),
        compared=tally.compared,
        flipped=tally.flips.total(),
        flips=tuple(LabelChange(*labels, count) for labels, count in flips[:_MAX_FLIPS]),
        images=pool.add_all(tally.flipped.list_images()),
        label_index=measure_shift(old, new),
        score_index=_measure_scores(tally, known),
        sampled_ratio=known.sampled_ratio,
    )


def _measure_scores(tally: Tally, known: EarlierLabels) -> float | None:
    """The shift of the best scores; None where those of the two runs are not of one kind."""
    has_probabilities = sum(known.scores.bins) and sum(tally.scores.bins)
    if known.functions != tally.functions or not has_probabilities:
        return None
    return measure_shift(_to_tenths(known.scores.bins), _to_tenths(tally.scores.bins))


def _to_tenths(counts: Sequence[int]) -> list[int]:
    """Below 0, ten bins from 0 to 1, above 1: the usual number for a stability index."""
    inside = counts[1:-1]
    pairs = zip(inside[::2], inside[1::2], strict=True)
    return [counts[0], *map(sum, pairs), counts[-1]]


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
