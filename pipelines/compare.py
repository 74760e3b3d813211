"""Compares two finished runs, or two models, over the same images.

::

    imgcls compare --output=out/ --run_id=before --with=after
    imgcls compare --output=out/ --run_id=both --model=owner/small --with_model=owner/large
    imgcls compare --output=out/ --with_output=gs://bucket/labels --json
    imgcls compare --output=out/ --run_id=before --with=after --to=before-after.html

Images are the same by their URI, and both must have a good row. With `--to` it is a page too, with
pictures of what changed: one HTML file that needs no network.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import asking, compare_flags, other_run_flags, run_flags, terminal

if TYPE_CHECKING:
    from imgcls_beam.analysis.compared_runs import ComparedRuns, ComparedSide
    from imgcls_beam.analysis.comparing import RunComparison

_SHOWN_LABELS, _SHOWN_PAIRS, _SHOWN_FLIPS = 15, 10, 10
_LABEL_CHARS, _URI_CHARS = 28, 60


def main(argv: Sequence[str] | None = None) -> int:
    """Prints how two runs differ; returns the exit code."""
    return asking.run_asking("compare", argv, compare_flags.parse_flags, _answer)


def _answer(asked: argparse.Namespace) -> asking.FieldsOrText:
    from imgcls_beam.analysis.compared_runs import compare_runs

    run_a = run_flags.open_asked(asked)
    run_b = other_run_flags.open_other(asked, run_a)
    if asked.to is None:
        found = compare_runs(run_a, run_b, asked.model, asked.with_model, asked.limit)
    else:
        from imgcls_beam.analysis.comparison_page.comparison_writing import write_comparison

        models = asked.model, asked.with_model
        found = write_comparison(run_a, run_b, asked.to, *models, asked.limit)
    if asked.json:
        return to_json(found, asked.limit) | {"report": asked.to}
    written = [] if asked.to is None else ["", f"report: {terminal.escape(asked.to)}"]
    return "\n".join([*_describe(found), *written, ""])


def to_json(found: "ComparedRuns", limit: int) -> dict[str, Any]:
    """The answer as `schemas/compare.answer.json` has it, with so many images at the most."""
    sides = {name: _name_side(side) for name, side in (("a", found.a), ("b", found.b))}
    flips = found.comparison.flips[:limit]
    return {**sides, **dataclasses.asdict(dataclasses.replace(found.comparison, flips=flips))}


def _name_side(side: "ComparedSide") -> dict[str, str]:
    return {"place": side.place, "run_id": side.record.run_id, "model_key": side.model.key}


def _describe(found: "ComparedRuns") -> Iterator[str]:
    both = found.comparison
    for name, side in (("A", found.a), ("B", found.b)):
        place = "" if found.a.place == found.b.place else f" · {side.place}"
        yield terminal.escape(f"{name}: run {side.record.run_id} · model {side.model.key}{place}")
    alone = f"{both.only_a:,} in A alone · {both.only_b:,} in B alone"
    yield f"{both.images:,} images in both · {alone}"
    kappa = "not defined" if both.kappa is None else f"{both.kappa:.3f}"
    yield f"agreement {both.agreement:.1%} · kappa {kappa} · {both.flipped:,} changed"
    if both.other_content:
        yield f"{both.other_content:,} images have other bytes in B"
    if not both.same_function:
        yield "scores of A and B are of different functions: their shifts say little"
    yield from _describe_pairs(both)
    yield from ("", *_describe_shifts(both))
    yield from _describe_flips(both)


def _describe_pairs(both: "RunComparison") -> Iterator[str]:
    cells = [(f"{p.label_a} → {p.label_b}", f"{p.images:,}") for p in both.pairs[:_SHOWN_PAIRS]]
    if cells:
        yield from ("", *asking.make_table(("A → B", "images"), cells, 2 * _LABEL_CHARS))
    if len(both.pairs) > len(cells):
        yield f"… and {len(both.pairs) - len(cells):,} more pairs; --json has all"


def _describe_shifts(both: "RunComparison") -> Iterator[str]:
    shown = [each for each in both.shifts if each.images_a or each.images_b][:_SHOWN_LABELS]
    cells = [
        (
            each.label,
            *(f"{each.images_a:,}", f"{each.images_b:,}"),
            *("" if score is None else f"{score:+.4f}" for score in (each.shift,)),
            *("" if score is None else f"{score:.4f}" for score in (each.distance,)),
        )
        for each in shown
    ]
    names = ("label", "images A", "images B", "score shift", "apart")
    yield from asking.make_table(names, cells, _LABEL_CHARS)
    if len(both.shifts) > len(shown):
        yield f"… and {len(both.shifts) - len(shown):,} more labels; --json has all"


def _describe_flips(both: "RunComparison") -> Iterator[str]:
    shown = both.flips[:_SHOWN_FLIPS]
    cells = [
        (
            asking.shorten_uri(each.image_uri, _URI_CHARS),
            *(f"{each.label_a} {each.score_a:.3f}", f"{each.label_b} {each.score_b:.3f}"),
        )
        for each in shown
    ]
    if cells:
        yield from ("", "look first at those of which both are sure")
        yield from asking.make_table(("image", "A", "B"), cells, _URI_CHARS, texts=3)
    if both.flipped > len(shown):
        more = f"… and {both.flipped - len(shown):,} more"
        yield f"{more}; --json has up to --limit of them, --to=FILE.html pictures"


if __name__ == "__main__":
    sys.exit(main())
