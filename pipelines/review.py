"""Chooses the images of a finished run whose labelling helps most.

::

    imgcls review --output=out/ --budget=200 --csv=review.csv
    imgcls review --output=out/ --run_id=a --with=b --label_studio=tasks.json --fiftyone=review/
    imgcls evaluate --output=out/ --truth_file=review.csv

Those of which the model is least sure, of which another run says something else, and that failed;
labels take turns. Files are never written over. More: docs/evaluation.md.
"""

import argparse
import collections
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import asking, other_run_flags, review_flags, run_flags, terminal

if TYPE_CHECKING:
    from imgcls_beam.analysis.reviewed_runs import ReviewedRun
    from imgcls_beam.analysis.reviewing import ReviewImage

_SHOWN_IMAGES = 15
_CHARS = 60


def main(argv: Sequence[str] | None = None) -> int:
    """Chooses images and writes them; returns the exit code."""
    return asking.run_asking("review", argv, review_flags.parse_flags, _answer)


def _answer(asked: argparse.Namespace) -> asking.FieldsOrText:
    from imgcls_beam.analysis.review_files import FORMATS, write_files
    from imgcls_beam.analysis.reviewed_runs import KnownOptions, review_run

    run = run_flags.open_asked(asked)
    other = other_run_flags.open_other(asked, run) if other_run_flags.has_other(asked) else None
    known = KnownOptions(asked.truth_column, asked.truth_file)
    found = review_run(run, asked.budget, asked.model, other, asked.with_model, known)
    asked_files = ((name, getattr(asked, name)) for name in review_flags.FORMATS)
    write_files(
        {
            name: FORMATS[name](url, found.images, found.model.key)
            for name, url in asked_files
            if url is not None
        }
    )
    return to_json(found, asked) if asked.json else "\n".join([*_describe(found, asked), ""])


def to_json(found: "ReviewedRun", asked: argparse.Namespace) -> dict[str, Any]:
    """The answer as `schemas/review.answer.json` has it."""
    return {
        "run_id": found.record.run_id,
        "model_key": found.model.key,
        "budget": asked.budget,
        "files": {name: getattr(asked, name) for name in review_flags.FORMATS},
        "images": [dataclasses.asdict(each) for each in found.images],
    }


def _describe(found: "ReviewedRun", asked: argparse.Namespace) -> Iterator[str]:
    yield terminal.escape(f"run {found.record.run_id} · model {found.model.key}")
    counts = collections.Counter(each.reason for each in found.images)
    reasons = " · ".join(f"{count:,} by {reason}" for reason, count in counts.items())
    yield f"{len(found.images):,} images of a budget of {asked.budget:,}" + (
        f" · {reasons}" if reasons else ""
    )
    rows = [_to_cells(each) for each in found.images[:_SHOWN_IMAGES]]
    if rows:
        names = ("image", "reason", "label or error", "other label", "score", "margin")
        yield from ("", *asking.make_table(names, rows, _CHARS, texts=4))
    if len(found.images) > len(rows):
        yield f"… and {len(found.images) - len(rows):,} more"
    written = [getattr(asked, name) for name in review_flags.FORMATS if getattr(asked, name)]
    yield ""
    for url in written:
        yield terminal.escape(f"written: {url}")
    if not written:
        yield "nothing was written: give --csv=FILE, --label_studio=FILE or --fiftyone=DIR"


def _to_cells(image: "ReviewImage") -> tuple[str, ...]:
    return (
        asking.shorten_uri(image.image_uri, _CHARS),
        str(image.reason),
        image.kind,
        image.other_label or "",
        "" if image.score is None else f"{image.score:.3f}",
        "" if image.margin is None else f"{image.margin:.3f}",
    )


if __name__ == "__main__":
    sys.exit(main())
