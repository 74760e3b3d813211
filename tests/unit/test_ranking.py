"""Logits → labels: the reference's arithmetic, bit for bit."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from transformers.pipelines.image_classification import sigmoid, softmax

from imgcls_beam.ranking import Ranking, Scores, apply_function, choose_parameters, rank_images
from imgcls_beam.scoring import AppliedParameters
from imgcls_beam.spec import FUNCTIONS, FunctionToApply, LabelScore, Parameters

REFERENCE = {"sigmoid": sigmoid, "softmax": softmax, "none": np.asarray}


def draw_logits(seed: int, spread: float, classes: int) -> Scores:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(classes) * spread).astype(np.float32)


def name_labels(classes: int) -> tuple[str, ...]:
    return tuple(f"class {index}" for index in range(classes))


def rank_all(logits: Any, function: FunctionToApply = "none", top_k: int | None = None) -> Ranking:
    scores = np.asarray(logits, np.float32)
    applied = AppliedParameters(top_k, function, "job")
    (ranking,) = rank_images(scores[None], name_labels(len(scores)), applied)
    assert ranking is not None
    return ranking


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("classes", [1, 2, 7, 1000, 21_843])
@pytest.mark.parametrize("spread", [0.01, 1, 30, 1e4, 1e37])
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # of the reference
def test_scores_and_their_order_are_the_references_bit_for_bit(
    function: FunctionToApply, classes: int, spread: float
) -> None:
    for seed in range(2):
        logits = draw_logits(seed, spread, classes)
        scores = REFERENCE[function](logits)
        assert scores.dtype == apply_function(logits, function).dtype == np.float32
        labels = [LabelScore(f"class {i}", score.item()) for i, score in enumerate(scores)]
        labels.sort(key=lambda label: label.score, reverse=True)  # stable, as the reference's
        assert rank_all(logits, function).labels == tuple(labels)
        assert rank_all(logits, function, top_k=5).labels == tuple(labels[:5])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_ties_stand_in_the_order_of_their_class(function: FunctionToApply) -> None:
    ranking = rank_all([1, 3, 1, 3, 0.0, -0.0, 1], function)
    assert [each.label[-1] for each in ranking.labels] == ["1", "3", "0", "2", "6", "4", "5"]


@given(
    batch=arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=40),
        elements=st.one_of(
            st.sampled_from([0.0, -0.0, 1.0, 90.0, 100.0, -100.0]),
            st.floats(width=32, allow_nan=True, allow_infinity=True),
        ),
    ),
    function=st.sampled_from(FUNCTIONS),
    top_k=st.one_of(st.none(), st.integers(1, 50)),
)
def test_an_image_of_a_batch_is_ranked_as_if_it_were_alone(
    batch: Scores, function: FunctionToApply, top_k: int | None
) -> None:
    """Held against a plain stable sort of each image's own scores."""
    labels = name_labels(batch.shape[1])
    ranked = rank_images(batch, labels, AppliedParameters(top_k, function, "job"))
    for logits, ranking in zip(batch, ranked, strict=True):
        scores = apply_function(logits, function)
        if not (np.isfinite(logits).all() and np.isfinite(scores).all()):
            assert ranking is None
            continue
        order = np.argsort(-scores, kind="stable")[:top_k]
        assert ranking is not None
        assert ranking.labels == tuple(LabelScore(labels[i], scores[i].item()) for i in order)


def test_scores_that_the_activation_makes_equal_are_ties() -> None:
    ranking = rank_all([90, 100, 95], "sigmoid")
    assert [each.label[-1] for each in ranking.labels] == ["0", "1", "2"]
    assert {each.score for each in ranking.labels} == {1.0}
    assert ranking.margin == 0.0


@pytest.mark.parametrize(
    ("top_k", "expected"), [(1, 1), (2, 2), (3, 3), (4, 3), (10**9, 3), (None, 3)]
)
def test_top_k_is_clipped_to_the_classes_and_none_is_all(top_k: int | None, expected: int) -> None:
    assert len(rank_all([0.1, 0.2, 0.3], top_k=top_k).labels) == expected


@pytest.mark.parametrize("top_k", [1, 2, None])
def test_the_margin_is_that_of_the_two_best_however_few_are_asked_for(top_k: int | None) -> None:
    assert rank_all([0.5, 4.0, 1.5], top_k=top_k).margin == 2.5


def test_a_single_class_has_no_margin() -> None:
    assert rank_all([0.5], "sigmoid").margin is None


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_logit_that_is_no_number_is_no_answer_and_no_warning(
    function: FunctionToApply, bad: float, place: int
) -> None:
    logits = np.array([1, 2, 3], np.float32)
    logits[place] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = np.stack([logits, np.array([1, 2, 3], np.float32), logits])
        ranked = rank_images(batch, name_labels(3), AppliedParameters(1, function, "job"))
    assert [ranking is None for ranking in ranked] == [True, False, True]
    assert ranked[1] == rank_all([1, 2, 3], function, top_k=1)


@pytest.mark.parametrize("function", ["sigmoid", "softmax"])
def test_the_largest_logits_give_probabilities_and_no_warning(function: FunctionToApply) -> None:
    most = float(np.finfo(np.float32).max)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranking = rank_all([-most, most], function)
    assert ranking.labels == (LabelScore("class 1", 1.0), LabelScore("class 0", 0.0))


def test_what_is_ranked_is_left_as_it_was() -> None:
    logits = draw_logits(1, 3, 9)
    before = logits.copy()
    for function in FUNCTIONS:
        rank_all(logits, function)
    np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize(
    ("request_top_k", "job_top_k", "expected"),
    [(None, None, None), (None, 5, 5), (3, 5, 3), (7, 5, 7), (3, None, 3)],
)
@pytest.mark.parametrize(
    ("request_function", "job_function", "function", "source"),
    [
        (None, None, "softmax", "model"),
        (None, "none", "none", "job"),
        ("sigmoid", None, "sigmoid", "request"),
        ("sigmoid", "none", "sigmoid", "request"),
        ("none", "none", "none", "request"),
    ],
)
def test_the_request_wins_over_the_job_and_the_job_over_the_model(
    request_top_k: int | None,
    job_top_k: int | None,
    expected: int | None,
    request_function: FunctionToApply | None,
    job_function: FunctionToApply | None,
    function: FunctionToApply,
    source: str,
) -> None:
    asked = Parameters(request_function, request_top_k)
    applied = choose_parameters(asked, job_top_k, job_function, "softmax")
    assert applied == AppliedParameters(expected, function, source)
