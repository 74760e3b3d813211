"""Facts of a comparison → the values that its template places: words, and numbers as read."""

from collections.abc import Iterator

from imgcls_beam.analysis.compared_runs import ComparedSide
from imgcls_beam.analysis.comparing import LabelShift, RunComparison
from imgcls_beam.analysis.comparison_page.comparison_facts import ComparisonFacts, PairImages
from imgcls_beam.analysis.report_page.page_text import make_visible, spell_ratio, spell_time
from imgcls_beam.analysis.report_page.page_values import (
    ImageValues,
    Values,
    make_tile,
    spell_label,
)
from imgcls_beam.analysis.report_page.run_details import list_details

_MAX_LABELS = 200
_HALF = 50.0
"""Percent of a chart's width to each side of 0."""


def list_comparison_values(facts: ComparisonFacts) -> Values:
    """Everything that the template names but the pictures."""
    compared = facts.compared
    both, sides = compared.comparison, (compared.a, compared.b)
    run_ids = dict.fromkeys(make_visible(side.record.run_id) for side in sides)
    return {
        "title": " → ".join(run_ids),
        "run_ids": list(run_ids),
        "sides": [
            {"name": name, **_to_side(side)} for name, side in zip(facts.sides, sides, strict=True)
        ],
        "tiles": list(_list_tiles(both)),
        "warnings": list(_list_warnings(both)),
        "images": ImageValues(facts.images),
        "pairs": [_to_pair(pair, both.flipped, facts.pairs[0].images) for pair in facts.pairs],
        "pairs_left": _count_left(len(both.pairs) - len(facts.pairs), "pair"),
        "labels": _list_labels(both),
        "labels_left": _count_left(len(both.shifts) - _MAX_LABELS, "label"),
        "first": facts.first,
        "images_note": _note_images(facts),
        "details": list(_list_details(*sides)),
    }


def _to_side(side: ComparedSide) -> Values:
    return {
        "run_id": make_visible(side.record.run_id),
        "model": make_visible(side.model.display_name),
        "place": make_visible(side.place),
        "finished": spell_time(side.record.finished_at),
    }


def _list_tiles(both: RunComparison) -> Iterator[Values]:
    yield make_tile("Images in both", f"{both.images:,}", "with a prediction in each")
    yield make_tile("Agreement", spell_ratio(both.agreement, 1), "have the same best label")
    kappa = "–" if both.kappa is None else f"{both.kappa:.3f}"
    note = "there is one label only" if both.kappa is None else "1 is the same, 0 is chance"
    yield make_tile("Cohen’s kappa", kappa, note)
    ratio = spell_ratio(both.flipped, both.images)
    yield make_tile("Another label", f"{both.flipped:,}", ratio)
    for name, count in (("In A alone", both.only_a), ("In B alone", both.only_b)):
        if count:
            yield make_tile(name, f"{count:,}", "not compared")


def _list_warnings(both: RunComparison) -> Iterator[str]:
    if both.other_content:
        yield f"{both.other_content:,} images have other bytes in B: they were changed meanwhile."
    if not both.same_function:
        yield "Scores of A and B are of different functions: their shifts say little."


def _to_pair(pair: PairImages, flipped: int, most: int) -> Values:
    return {
        "before": spell_label(pair.label_a),
        "after": spell_label(pair.label_b),
        "count": f"{pair.images:,}",
        "percent": spell_ratio(pair.images, flipped),
        "width": round(100 * pair.images / most, 2),
        "on_page": " ".join(map(str, pair.on_page)),
        "sheet": pair.sheet,
    }


def _list_labels(both: RunComparison) -> list[Values]:
    """The largest change in images first, as they are compared; bars are of one scale."""
    shown = both.shifts[:_MAX_LABELS]
    widest = max((abs(each.shift or 0.0) for each in shown), default=0.0)
    return [
        {
            "text": spell_label(each.label),
            "images_a": f"{each.images_a:,}",
            "images_b": f"{each.images_b:,}",
            "change": f"{each.images_b - each.images_a:+,}".replace("+0", "0"),
            "shift": "–" if each.shift is None else f"{each.shift:+.4f}",
            "distance": "–" if each.distance is None else f"{each.distance:.4f}",
            **_to_bar(each, widest),
        }
        for each in shown
    ]


def _to_bar(shift: LabelShift, widest: float) -> Values:
    """A bar from the middle, to the right where B's scores are higher."""
    width = 0.0 if not widest else _HALF * abs(shift.shift or 0.0) / widest
    start = _HALF - width if (shift.shift or 0.0) < 0 else _HALF
    return {"x": round(start, 2), "width": round(width, 2), "is_less": (shift.shift or 0.0) < 0}


def _count_left(count: int, what: str) -> str:
    return f"{count:,} more {what}{'s' * (count != 1)}; --json has all." if count > 0 else ""


def _note_images(facts: ComparisonFacts) -> str:
    flipped = facts.compared.comparison.flipped
    order = "Those of which both sides are sure come first."
    if len(facts.images) == flipped:
        return f"Every image with another label. {order}"
    return f"{len(facts.images):,} of {flipped:,} images with another label. {order}"


def _list_details(a: ComparedSide, b: ComparedSide) -> Iterator[Values]:
    """Names of facts with the values of both."""
    of_a, of_b = (dict(list_details(each.record, each.place, each.model)) for each in (a, b))
    for name in {**of_a, **of_b}:
        values = [make_visible(found.get(name, "")) for found in (of_a, of_b)]
        yield {"name": name, "cells": values, "is_other": values[0] != values[1]}
