"""A run and the images of it to be labelled: what `imgcls review` begins with."""

import dataclasses
import itertools
from collections.abc import Sequence

import pyarrow as pa

from imgcls_beam.analysis.compared_runs import choose_other
from imgcls_beam.analysis.comparing import find_changed
from imgcls_beam.analysis.reviewing import (
    FAILED_COLUMNS,
    ReviewImage,
    choose_images,
    list_failed,
)
from imgcls_beam.analysis.run_rows import RunRows, choose_model
from imgcls_beam.analysis.scored_rows import COMPARED, ScoredRows, read_scored_rows
from imgcls_beam.analysis.truth_files import read_truths
from imgcls_beam.analysis.truths import find_carried
from imgcls_beam.sinks import RecordedModel, RunRecord


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
        ConfigError: there is no such model or column, no such file, no image in both runs,
            or both are one.
    """
    chosen = choose_model(run.record, model)
    side = None if other is None else choose_other(run, chosen, other, other_model)
    rows = read_scored_rows(run, chosen.key, (*COMPARED, "attributes"))
    changed = None
    if other is not None and side is not None:
        changed = find_changed(rows, read_scored_rows(other, side.model.key, COMPARED))
    failed = list(run.read(FAILED_COLUMNS, chosen.key, "error"))
    left_out = _list_known(rows, failed, known or KnownOptions())
    images = choose_images(rows, list_failed(failed), budget, changed, left_out)
    return ReviewedRun(run.record, chosen, tuple(images))


def _list_known(
    rows: ScoredRows, failed: Sequence[pa.RecordBatch], known: KnownOptions
) -> set[str]:
    """URIs of images whose truth is known, of good and of failed rows."""
    if known.file is not None:
        return {*read_truths(known.file)}
    if known.column is None:
        return set()
    uris = itertools.chain(rows.uris, *(batch["image_uri"] for batch in failed))
    attributes = pa.chunked_array(
        [*rows.attributes.chunks, *(batch["attributes"] for batch in failed)], pa.string()
    )
    pairs = zip(uris, find_carried(attributes, known.column), strict=True)
    return {uri.as_py() for uri, truth in pairs if truth is not None}
