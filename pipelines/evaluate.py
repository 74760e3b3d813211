"""Holds a finished run against the truth.

::

    imgcls evaluate --output=out/ --truth_column=label
    imgcls evaluate --output=out/ --run_id=nightly --truth_column=label --wanted_precision=0.95
    imgcls evaluate --output=out/ --truth_file=reviewed.csv --json

The truth is a column that was carried along (`imgcls classify --carry_columns=label`), or a file of
images and labels. Nothing is written. More: docs/evaluation.md.
"""

import argparse
import dataclasses
import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import asking, evaluate_flags, run_flags, terminal

if TYPE_CHECKING:
    from imgcls_beam.analysis.evaluating import Evaluation
    from imgcls_beam.analysis.judged_runs import JudgedRun

_SHOWN_LABELS, _SHOWN_CONFUSIONS, _SHOWN_UNKNOWN = 20, 10, 5
_LABEL_CHARS = 28


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what a run is worth; returns the exit code."""
    return asking.run_asking("evaluate", argv, evaluate_flags.parse_flags, _answer)


def _answer(asked: argparse.Namespace) -> asking.FieldsOrText:
    from imgcls_beam.analysis.judged_runs import judge_run
    from imgcls_beam.analysis.thresholds import Wanted
    from imgcls_beam.analysis.truths import TruthOptions

    truth = TruthOptions(asked.truth_column, asked.truth_file, asked.truth_mapping)
    wanted = Wanted(asked.wanted_precision, asked.wanted_recall)
    judged = judge_run(run_flags.open_asked(asked), truth, asked.model, wanted)
    return to_json(judged, asked) if asked.json else "\n".join([*_describe(judged, asked), ""])


def to_json(judged: "JudgedRun", asked: argparse.Namespace) -> dict[str, Any]:
    """The answer as `schemas/evaluate.answer.json` has it."""
    found = dataclasses.asdict(judged.evaluation)
    return {
        "run_id": judged.record.run_id,
        "model_key": judged.model.key,
        "truth": {name: getattr(asked, f"truth_{name}") for name in ("column", "file", "mapping")},
        "wanted": {name: getattr(asked, f"wanted_{name}") for name in ("precision", "recall")},
        "accuracy": judged.evaluation.accuracy,
        **found,
        "unknown": [{"value": value, "images": n} for value, n in found["unknown"].items()],
    }


def _describe(judged: "JudgedRun", asked: argparse.Namespace) -> Iterator[str]:
    found = judged.evaluation
    yield terminal.escape(f"run {judged.record.run_id} · model {judged.model.key}")
    yield " · ".join(_describe_counts(found))
    yield from map(terminal.escape, _describe_unknown(found))
    best = found.top_accuracies
    deeper = f" · among the best {len(best)}: {best[-1]:.1%}" if len(best) > 1 else ""
    yield f"accuracy {found.accuracy:.1%}{deeper}"
    if found.calibration is None:
        yield "calibration: none, the scores are no probabilities"
    else:
        yield f"calibration error {found.calibration.error:.1%} (mean of |accuracy - score|)"
    yield from ("", *_describe_labels(found))
    yield from _describe_confusions(found)
    yield from ("", *_describe_thresholds(found, asked))


def _describe_counts(found: "Evaluation") -> Iterator[str]:
    yield f"{found.judged:,} images judged"
    if found.without_truth:
        yield f"{found.without_truth:,} without truth"
    if found.unknown_truth:
        yield f"{found.unknown_truth:,} of a truth that is no label of the model"
    for status, count in found.statuses.items():
        if status != "ok":
            yield f"{count:,} {status}"


def _describe_unknown(found: "Evaluation") -> Iterator[str]:
    shown = list(found.unknown.items())[:_SHOWN_UNKNOWN]
    if shown:
        named = ", ".join(f"{value!r} ({count:,})" for value, count in shown)
        more = ", …" if len(found.unknown) > len(shown) else ""
        yield f"no labels of the model: {named}{more}; --truth_mapping can name them"
    if found.unseen:
        named = ", ".join(map(repr, found.unseen[:_SHOWN_UNKNOWN]))
        more = ", …" if len(found.unseen) > _SHOWN_UNKNOWN else ""
        yield f"truths that no row has as a label: {named}{more}; they count as wrong"


def _describe_labels(found: "Evaluation") -> Iterator[str]:
    shown = sorted(found.labels, key=_by_images)[:_SHOWN_LABELS]
    rows = [
        (each.label, f"{each.images:,}", *map(_to_digits, (each.precision, each.recall, each.f1)))
        for each in (*shown, found.macro, found.weighted)
    ]
    names = ("label", "images", "precision", "recall", "f1")
    yield from asking.make_table(names, rows, _LABEL_CHARS)
    if len(found.labels) > len(shown):
        yield f"… and {len(found.labels) - len(shown):,} more labels; --json has all"


def _describe_confusions(found: "Evaluation") -> Iterator[str]:
    wrong = [cell for cell in found.confusions if cell.truth != cell.predicted]
    if not wrong:
        return
    cells = [(f"{c.truth} → {c.predicted}", f"{c.images:,}") for c in wrong[:_SHOWN_CONFUSIONS]]
    yield from ("", *asking.make_table(("truth → label", "images"), cells, 2 * _LABEL_CHARS))
    if len(wrong) > len(cells):
        yield f"… and {len(wrong) - len(cells):,} more pairs; --json has all"


def _describe_thresholds(found: "Evaluation", asked: argparse.Namespace) -> Iterator[str]:
    from imgcls_beam.analysis.thresholds import spell_threshold

    goal = "the best F1"
    for name in ("precision", "recall"):
        if (wanted := getattr(asked, f"wanted_{name}")) is not None:
            goal = f"{name} {wanted:g}"
    shown = sorted(found.thresholds, key=_by_images)[:_SHOWN_LABELS]
    rows = []
    for each in shown:
        cells = ["none", "", "", ""]
        if (best := each.best) is not None:
            ratios = map(_to_digits, (best.precision, best.recall))
            cells = [spell_threshold(best.rounded), *ratios, f"{best.taken:,}"]
        floor = "" if each.exact_above is None else _to_bound(each.exact_above)
        rows.append((each.label, *cells, floor))
    yield f"thresholds for {goal}"
    names = ("label", "score ≥", "precision", "recall", "images", "known above")
    yield from asking.make_table(names, rows, _LABEL_CHARS)
    if any(each.exact_above is not None for each in shown):
        yield "known above: rows have their best labels only, so lower thresholds cannot be judged"


def _by_images(each: Any) -> tuple[int, str]:  # noqa: ANN401  scores or thresholds of a label
    return -each.images, each.label


def _to_bound(score: float) -> str:
    """Six digits, rounded up: what is known above the bound is known above what is shown."""
    return f"{math.ceil(score * 1e6) / 1e6:.6f}"


def _to_digits(ratio: float) -> str:
    return f"{ratio:.3f}"


if __name__ == "__main__":
    sys.exit(main())
