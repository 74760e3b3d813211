"""What is known by the truth → the values that the template places."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from imgcls_beam.analysis.report_page.page_facts import TruthFacts
from imgcls_beam.analysis.report_page.page_text import (
    LABEL_CHARS,
    cut_middle,
    make_visible,
    spell_ratio,
)

if TYPE_CHECKING:
    from imgcls_beam.analysis.calibration import Calibration
    from imgcls_beam.analysis.evaluating import Evaluation
    from imgcls_beam.analysis.thresholds import LabelThresholds

_MATRIX_LABELS, _TABLE_LABELS, _HEAD_CHARS, _HEATS = 12, 200, 22, 8


def list_truth_values(facts: TruthFacts) -> dict[str, Any]:
    """Everything that the section names."""
    found = facts.evaluation
    return {
        "tiles": list(_list_tiles(found)),
        "matrix": _make_matrix(facts),
        "labels": _list_labels(found),
        "reliability": None if found.calibration is None else _list_bins(found.calibration),
        "confusions": [
            {
                "truth": _spell(each.truth),
                "predicted": _spell(each.predicted),
                "images": each.images,
            }
            for each in facts.confusions[:_MATRIX_LABELS]
            if each.images
        ],
    }


def _spell(label: str, most: int = LABEL_CHARS) -> str:
    return cut_middle(make_visible(label), most)


def _list_tiles(found: "Evaluation") -> Iterator[dict[str, str]]:
    judged = f"of {found.judged:,} images with a known truth"
    yield {"name": "Accuracy", "value": spell_ratio(found.accuracy, 1), "note": judged}
    deepest = len(found.top_accuracies)
    if deepest > 1:
        share = spell_ratio(found.top_accuracies[-1], 1)
        yield {"name": "Among the best", "value": share, "note": f"{deepest} labels"}
    yield {"name": "F1", "value": f"{found.macro.f1:.3f}", "note": "plain mean of the labels"}
    if found.calibration is not None:
        error = spell_ratio(found.calibration.error, 1)
        yield {"name": "Calibration error", "value": error, "note": "mean of |accuracy − score|"}
    rest = found.without_truth + found.unknown_truth
    if rest:
        note = f"{found.unknown_truth:,} of them with a truth that is no label"
        yield {"name": "Not judged", "value": f"{rest:,}", "note": note}


def _make_matrix(facts: TruthFacts) -> dict[str, Any]:
    """The confusion matrix of the labels with the most images, rows by truth."""
    found = facts.evaluation
    largest = sorted(found.labels, key=lambda each: (-each.images - each.predicted, each.label))
    names = sorted(each.label for each in largest[:_MATRIX_LABELS])
    counts = {(each.truth, each.predicted): each.images for each in found.confusions}
    images = {(each.truth, each.predicted): each.images for each in facts.confusions}
    totals = {each.label: max(each.images, 1) for each in found.labels}
    rows = [
        {
            "label": _spell(truth, _HEAD_CHARS),
            "cells": [
                {
                    "count": counts.get((truth, name), 0),
                    "heat": _find_heat(counts.get((truth, name), 0), totals[truth]),
                    "is_right": truth == name,
                    "images": " ".join(map(str, images.get((truth, name), ()))),
                    "words": f"truth {_spell(truth)}, predicted {_spell(name)}",
                }
                for name in names
            ],
        }
        for truth in names
    ]
    heads = [_spell(name, _HEAD_CHARS) for name in names]
    left = len(found.labels) - len(names)
    return {"heads": heads, "rows": rows, "left": f"{left:,} more labels" if left else ""}


def _find_heat(count: int, total: int) -> int:
    """How strongly a cell is coloured: 0 for none, up to `_HEATS` for all images of its row."""
    return -(-count * _HEATS // total)


def _list_labels(found: "Evaluation") -> list[dict[str, str]]:
    thresholds = {each.label: each for each in found.thresholds}
    largest = sorted(found.labels, key=lambda each: (-each.images, each.label))
    return [
        {
            "text": _spell(each.label),
            "count": f"{each.images:,}",
            "precision": spell_ratio(each.precision, 1),
            "recall": spell_ratio(each.recall, 1),
            "f1": f"{each.f1:.3f}",
            **_spell_threshold(thresholds.get(each.label)),
        }
        for each in largest[:_TABLE_LABELS]
    ]


def _spell_threshold(found: "LabelThresholds | None") -> dict[str, str]:
    from imgcls_beam.analysis.thresholds import spell_threshold  # loaded where a run was judged

    if found is None or found.best is None:
        return {"threshold": "–", "there": ""}
    best = found.best
    there = f"{spell_ratio(best.precision, 1)} / {spell_ratio(best.recall, 1)}"
    return {"threshold": spell_threshold(best.rounded), "there": there}


def _list_bins(calibration: "Calibration") -> dict[str, Any]:
    words = [
        f"scores {each.low:.2f} to {each.high:.2f}: {each.accuracy:.0%} right of {each.images:,}"
        for each in calibration.bins
    ]
    bars = [
        {
            "x": round(100 * each.low, 3),
            "width": round(100 * (each.high - each.low), 3),
            "height": max(round(100 * each.accuracy, 2), 0.8),
            "words": text,
        }
        for each, text in zip(calibration.bins, words, strict=True)
    ]
    return {"bars": bars, "spoken": "; ".join(words)}
