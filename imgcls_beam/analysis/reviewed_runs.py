"""A run and the images of it to be labelled: what `imgcls review` begins with."""

import dataclasses

from imgcls_beam.analysis.comparing import compare_rows
from imgcls_beam.analysis.reviewing import ReviewImage, choose_images, list_failed
from imgcls_beam.analysis.run_rows import RunRows, choose_model
from imgcls_beam.analysis.scored_rows import COMPARED, ScoredRows, read_scored_rows
from imgcls_beam.analysis.truth_files import read_truths
from imgcls_beam.analysis.truths import find_carried
from imgcls_beam.sinks import RecordedModel, RunRecord

_FLIPS = 10
"""Flips that are looked at for each image of the budget, so that labels can take turns."""


@dataclasses.dataclass(frozen=True, slots=True)
class KnownOptions:
    """Where the truth of some images is, which need not be labelled again.

    Attributes:
        column: of the carried columns; None for none.
        file: path or URL, see `truth_files`; None for none.
    """

    column: str | None = None
    file: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ReviewedRun:
    """What is to be labelled.

    Attributes:
        record: of the run.
        model: whose rows they are.
        images: in the order of their reasons, see `reviewing`.
    """

    record: RunRecord
    model: RecordedModel
    images: tuple[ReviewImage, ...]


def review_run(
    run: RunRows,
    budget: int,
    model: str | None = None,
    other: RunRows | None = None,
    other_model: str | None = None,
    known: KnownOptions | None = None,
) -> ReviewedRun:
    """Chooses the images of a run whose labelling helps most.

    Args:
        run: as `open_run` gives it.
        budget: how many images at the most.
        model: id or key; needed where the run has several.
        other: another run, or the same for another of its models; None for none.
        other_model: of the other.
        known: images whose truth is known.

    Raises:
        ConfigError: there is no such model or column, no such file, or no image in both runs.
    """
    chosen = choose_model(run.record, model)
    rows = read_scored_rows(run, chosen.key, (*COMPARED, "attributes"))
    compared = None
    if other is not None:
        key = choose_model(other.record, other_model).key
        compared = compare_rows(rows, read_scored_rows(other, key, COMPARED), _FLIPS * budget)
    failed = list_failed(run, chosen.key)
    images = choose_images(rows, failed, budget, compared, _list_known(rows, known))
    return ReviewedRun(run.record, chosen, tuple(images))


def _list_known(rows: ScoredRows, known: KnownOptions | None) -> set[str]:
    """URIs of images whose truth is known."""
    if known is None:
        return set()
    if known.file is not None:
        return {*read_truths(known.file)}
    if known.column is None:
        return set()
    pairs = zip(rows.uris.to_pylist(), find_carried(rows, known.column), strict=True)
    return {uri for uri, truth in pairs if truth is not None}
