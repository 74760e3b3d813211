"""An evaluation has the numbers of scikit-learn, and says only what the rows say."""

import dataclasses

import numpy as np
import pytest
from sklearn import metrics  # type: ignore[import-untyped]
from sklearn.calibration import calibration_curve  # type: ignore[import-untyped]

from imgcls_beam.analysis.calibration import BINS, calibrate
from imgcls_beam.analysis.class_scores import rank_truths
from imgcls_beam.analysis.evaluating import evaluate_rows, list_misjudged
from imgcls_beam.analysis.scored_rows import take_rows
from imgcls_beam.analysis.thresholds import (
    Wanted,
    bound_absent,
    cut_down,
    spell_threshold,
    trace_curves,
)
from imgcls_beam.analysis.truths import NO_TRUTH, UNKNOWN, Truths
from imgcls_beam.errors import ConfigError
from imgcls_beam.spec import FUNCTIONS
from tests.drawn import Drawn, draw

SEEDS = range(20)
KINDS = {seed: "softmax" if seed % 2 else "sigmoid" for seed in SEEDS}
CLOSE = {"rel": 0.0, "abs": 1e-9}


def draw_one(seed: int) -> Drawn:
    return draw(seed, KINDS[seed])


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_and_means_are_those_of_scikit_learn(seed: int) -> None:
    drawn = draw_one(seed)
    found = evaluate_rows(drawn.to_rows(5), drawn.to_truths())
    best = np.argsort(-drawn.every, axis=1, kind="stable")[:, 0]
    used = np.unique(np.concatenate([drawn.truths, best]))
    assert found.accuracy == pytest.approx(metrics.accuracy_score(drawn.truths, best), **CLOSE)
    every = metrics.precision_recall_fscore_support(drawn.truths, best, zero_division=0)
    ours = [(each.precision, each.recall, each.f1, each.images) for each in found.labels]
    assert np.array(ours) == pytest.approx(np.array(every).T, **CLOSE)
    assert [each.label for each in found.labels] == [drawn.labels[at] for at in used]
    for mean in (found.macro, found.weighted):
        theirs = metrics.precision_recall_fscore_support(
            drawn.truths, best, average=mean.label, zero_division=0
        )
        assert (mean.precision, mean.recall, mean.f1) == pytest.approx(theirs[:3], **CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_confusion_matrix_is_that_of_scikit_learn(seed: int) -> None:
    drawn = draw_one(seed)
    found = evaluate_rows(drawn.to_rows(1), drawn.to_truths())
    best = np.argsort(-drawn.every, axis=1, kind="stable")[:, 0]
    theirs = metrics.confusion_matrix(drawn.truths, best, labels=range(len(drawn.labels)))
    ours = np.zeros_like(theirs)
    for cell in found.confusions:
        at = drawn.labels.index(cell.truth), drawn.labels.index(cell.predicted)
        ours[at] = cell.images
    assert (ours == theirs).all()
    assert [cell.images for cell in found.confusions] == sorted(theirs[theirs > 0])[::-1]


@pytest.mark.parametrize("seed", [seed for seed in SEEDS if KINDS[seed] == "softmax"])
def test_top_k_accuracies_are_those_of_scikit_learn(seed: int) -> None:
    drawn = draw_one(seed)
    classes = len(drawn.labels)
    found = evaluate_rows(drawn.to_rows(5), drawn.to_truths())
    assert len(found.top_accuracies) == min(5, classes)
    if classes == 2:  # scikit-learn takes one score an image then
        return
    for k, ours in enumerate(found.top_accuracies, 1):
        theirs = metrics.top_k_accuracy_score(drawn.truths, drawn.every, k=k, labels=range(classes))
        assert ours == pytest.approx(theirs, **CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_is_that_of_scikit_learn(seed: int) -> None:
    drawn = draw_one(seed)
    found = evaluate_rows(drawn.to_rows(1), drawn.to_truths()).calibration
    best = np.argsort(-drawn.every, axis=1, kind="stable")[:, 0]
    is_right, scores = best == drawn.truths, drawn.every.max(axis=1)
    accuracies, means = calibration_curve(is_right, scores, n_bins=BINS)
    assert found is not None
    assert [each.accuracy for each in found.bins] == pytest.approx(accuracies, **CLOSE)
    assert [each.score for each in found.bins] == pytest.approx(means, **CLOSE)
    weights = [each.images / len(scores) for each in found.bins]
    assert found.error == pytest.approx(np.abs(accuracies - means) @ weights, **CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_curves_over_all_scores_are_those_of_scikit_learn(seed: int) -> None:
    drawn = draw_one(seed)
    rows = drawn.to_rows(len(drawn.labels))
    images = np.bincount(drawn.truths, minlength=len(drawn.labels))
    curves = list(trace_curves(rows, drawn.truths, images))
    assert [at for at, _, _ in curves] == np.unique(drawn.truths).tolist()
    for at, exact_above, curve in curves:
        theirs = metrics.precision_recall_curve(drawn.truths == at, drawn.every[:, at])
        precision, recall, thresholds = theirs
        assert exact_above is None
        assert curve.thresholds[::-1] == pytest.approx(thresholds, **CLOSE)
        assert curve.precision[::-1] == pytest.approx(precision[:-1], **CLOSE)
        assert curve.recall[::-1] == pytest.approx(recall[:-1], **CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_curves_over_the_best_labels_are_the_exact_part_of_those_over_all(seed: int) -> None:
    drawn, top_k = draw_one(seed), (1, 2, 5)[seed % 3]
    images = np.bincount(drawn.truths, minlength=len(drawn.labels))
    for at, exact_above, curve in trace_curves(drawn.to_rows(top_k), drawn.truths, images):
        theirs = metrics.precision_recall_curve(drawn.truths == at, drawn.every[:, at])
        is_exact = theirs[2] > (-np.inf if exact_above is None else exact_above)
        assert curve.thresholds[::-1] == pytest.approx(theirs[2][is_exact], **CLOSE)
        assert curve.precision[::-1] == pytest.approx(theirs[0][:-1][is_exact], **CLOSE)
        assert curve.recall[::-1] == pytest.approx(theirs[1][:-1][is_exact], **CLOSE)


@pytest.mark.parametrize("top_k", [1, 2, 3])
@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_no_score_that_a_row_lacks_is_above_its_bound(kind: str, top_k: int) -> None:
    drawn = draw(4, kind, classes=6)
    bounds = bound_absent(drawn.to_rows(top_k))
    absent = np.sort(drawn.every, axis=1)[:, ::-1][:, top_k:]
    assert (absent.max(axis=1) <= bounds + 1e-12).all()
    assert kind != "softmax" or bounds.max() <= 0.5


def test_thresholds_are_chosen_for_what_is_wanted() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.4, 0.3])
    truths = np.array([0, 0, 1, 0, 1, 0])
    drawn = Drawn(("yes", "no"), np.stack([scores, 1.0 - scores], axis=1), truths)
    best = {}
    for wanted in (Wanted(), Wanted(precision=0.9), Wanted(recall=0.75), Wanted(precision=1.0)):
        found = evaluate_rows(drawn.to_rows(2), drawn.to_truths(), wanted)
        _, yes = found.thresholds
        assert yes.label == "yes"
        best[wanted] = yes.best and (yes.best.threshold, yes.best.precision, yes.best.recall)
    assert best == {
        Wanted(): (0.3, pytest.approx(4 / 6), 1.0),
        Wanted(precision=0.9): (0.8, 1.0, 0.5),
        Wanted(recall=0.75): (0.6, 0.75, 0.75),
        Wanted(precision=1.0): (0.8, 1.0, 0.5),
    }
    never = evaluate_rows(drawn.to_rows(1), drawn.to_truths(), Wanted(recall=1.0))
    assert [each.best for each in never.thresholds] == [None, None]
    assert [each.exact_above for each in never.thresholds] == [pytest.approx(0.4)] * 2


def test_a_curve_that_is_shown_has_few_points_and_both_ends() -> None:
    drawn = draw(1, classes=3, count=500)
    found = evaluate_rows(drawn.to_rows(3), drawn.to_truths()).thresholds[0]
    thresholds = [point.threshold for point in found.curve]
    assert len(thresholds) == 21
    assert thresholds == sorted(thresholds, reverse=True)
    assert (thresholds[0], thresholds[-1]) == (drawn.every[:, 0].max(), drawn.every[:, 0].min())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_threshold_that_is_typed_as_it_is_shown_takes_the_same_images(seed: int) -> None:
    drawn = draw_one(seed)
    found = evaluate_rows(drawn.to_rows(3), drawn.to_truths()).thresholds
    for each in found:
        at = drawn.labels.index(each.label)
        for point in filter(None, (each.best, *each.curve)):
            typed = float(spell_threshold(point.rounded))
            assert np.count_nonzero(drawn.every[:, at] >= typed) == point.taken


@pytest.mark.parametrize(
    ("threshold", "below", "shown"),
    [
        (0.6127, 0.61, "0.612"),
        (0.6127, 0.6126, "0.6127"),
        (0.61279, 0.6126, "0.6127"),
        (3.7e-7, 2.9e-7, "0.0000003"),
        (0.9999999, 0.9999998, "0.9999999"),
        (0.5, None, "0.500"),
        (-3.21456, -3.5, "-3.215"),
        (0.1 + 0.2, 0.3, "0.30000000000000004"),
    ],
)
def test_a_threshold_has_the_digits_that_it_needs(
    threshold: float, below: float | None, shown: str
) -> None:
    assert spell_threshold(cut_down(threshold, below)) == shown


def test_what_cannot_be_judged_is_counted_and_left_out() -> None:
    drawn = draw(2, classes=3, count=10)
    ids = drawn.truths.copy()
    ids[:3], ids[3:5] = NO_TRUTH, UNKNOWN
    found = evaluate_rows(drawn.to_rows(3), Truths(drawn.labels, ids, {"cow": 2}))
    assert (found.judged, found.without_truth, found.unknown_truth) == (5, 3, 2)
    rest = Drawn(drawn.labels, drawn.every[5:], drawn.truths[5:])
    assert found.labels == evaluate_rows(rest.to_rows(3), rest.to_truths()).labels
    assert found.thresholds == evaluate_rows(rest.to_rows(3), rest.to_truths()).thresholds
    ids[:] = NO_TRUTH
    with pytest.raises(ConfigError, match="10 of 10 have no truth"):
        evaluate_rows(drawn.to_rows(3), Truths(drawn.labels, ids, {}))


def test_a_label_that_no_row_has_counts_against_the_run() -> None:
    drawn = draw(2, classes=3, count=10)
    ids = drawn.truths.copy()
    ids[:4] = 3
    truths = Truths((*drawn.labels, "newt"), ids, {})
    found = evaluate_rows(drawn.to_rows(3), truths)
    assert found.unseen == ("newt",)
    (newt,) = [each for each in found.labels if each.label == "newt"]
    assert (newt.images, newt.predicted, newt.recall, newt.f1) == (4, 0, 0.0, 0.0)
    (never,) = [each for each in found.thresholds if each.label == "newt"]
    assert (never.best, never.curve) == (None, ())


@pytest.mark.parametrize("scores", [[], [0.5, 1.5], [-0.1, 0.5]])
def test_scores_that_are_no_probabilities_have_no_calibration(scores: list[float]) -> None:
    assert calibrate(np.array(scores), np.ones(len(scores), np.bool_)) is None


def test_scores_to_which_no_function_was_applied_have_no_calibration_wherever_they_lie() -> None:
    drawn = draw(4, "sigmoid", classes=3, count=9)
    rows = drawn.to_rows(3)
    raw = dataclasses.replace(rows, functions=np.full(9, FUNCTIONS.index("none")))
    assert evaluate_rows(rows, drawn.to_truths()).calibration is not None
    assert evaluate_rows(raw, drawn.to_truths()).calibration is None


def test_scores_at_the_ends_of_bins_lie_below() -> None:
    found = calibrate(np.array([0.0, 1.0, 1 / BINS]), np.array([True, True, False]))
    assert found is not None
    assert [(each.low, each.images) for each in found.bins] == [(0.0, 2), (1 - 1 / BINS, 1)]


def test_rows_of_different_lengths_and_labels_of_one_name_are_ranked_by_the_better() -> None:
    drawn = Drawn(("a", "b"), np.array([[0.6, 0.4], [0.6, 0.4], [0.6, 0.4]]), np.array([0, 1, 0]))
    rows = take_rows(drawn.to_rows(2), np.array([2, 0, 1]))
    rows.label_ids[2:4] = 0
    assert rank_truths(rows, np.array([0, 0, 1])).tolist() == [1, 1, 2]
    assert rank_truths(rows, np.array([1, 1, 1])).tolist() == [2, 0, 2]
    images = np.array([3, 0])
    ((_, _, curve),) = trace_curves(rows, np.array([0, 0, 0]), images)
    assert (curve.taken.tolist(), curve.right.tolist()) == ([3], [3])


def test_images_of_a_cell_are_listed_with_the_surest_first() -> None:
    drawn = draw(5, classes=4, count=80)
    rows, truths = drawn.to_rows(4), drawn.to_truths()
    cell = next(
        each
        for each in evaluate_rows(rows, truths).confusions
        if each.truth != each.predicted and each.images > 2
    )
    uris = list_misjudged(rows, truths, cell, 2)
    at = [int(uri.removeprefix("gs://b/").removesuffix(".jpg")) for uri in uris]
    best = drawn.every[at].max(axis=1)
    assert len(at) == 2 and best[0] >= best[1]
    assert {drawn.labels[drawn.truths[i]] for i in at} == {cell.truth}
    assert {drawn.labels[drawn.every[i].argmax()] for i in at} == {cell.predicted}
