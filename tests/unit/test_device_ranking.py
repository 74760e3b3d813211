"""What a device ranks is what the host ranks: labels in the same order, scores within 1e-7."""

import hypothesis
import hypothesis.extra.numpy as drawn
import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import pytest
import torch

from imgcls_beam.classifying import Best, RankSpec
from imgcls_beam.classifying.device_ranking import rank_logits, unpack
from imgcls_beam.ranking import Ranking, Scores, rank_images
from imgcls_beam.scoring import AppliedParameters
from imgcls_beam.spec import FUNCTIONS, FunctionToApply

TOLERANCE = 1e-7
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
NEIGHBOURS = st.integers(-4, 4).map(lambda steps: 1.5 + steps * 2.0**-23)
"""Numbers whose scores rounding makes equal, or not."""
KINDS = {
    "any": FLOATS,
    "usual": st.floats(-30, 30, width=32),
    "few": st.sampled_from([-1.0, 0.0, -0.0, 0.5, 3.0]),
    "neighbours": NEIGHBOURS,
    "small neighbours": NEIGHBOURS.map(lambda each: each / 64),
    "saturated": st.floats(14, 40, width=32),
    "vanishing": st.sampled_from([0.0, -86.0, -87.5, -90.0, -100.0, -104.0, -200.0, -3e38]),
}


def rank_on_device(logits: Scores, wanted: RankSpec) -> list[Best | None]:
    found = rank_logits(torch.from_numpy(logits), wanted)
    assert found.dtype == torch.float64
    assert found.shape == (len(logits), 1 + 2 * min(max(wanted.top_k, 2), logits.shape[1]))
    return unpack(found.tolist(), wanted)


def compare(logits: Scores, function: FunctionToApply, top_k: int) -> int:
    """Holds the device to the host; gives the number of images that were clear to it."""
    best = rank_on_device(logits, RankSpec(function, top_k))
    labels = tuple(map(str, range(logits.shape[1])))
    host = rank_images(logits, labels, AppliedParameters(top_k, function, "job"))
    for row, found, expected in zip(logits, best, host, strict=True):
        if found is not None:
            assert expected is not None, "not finite, and clear"
            compare_one(row, function, found, expected)
    return sum(each is not None for each in best)


def compare_one(row: Scores, function: FunctionToApply, found: Best, expected: Ranking) -> None:
    assert [str(each) for each in found.classes] == [each.label for each in expected.labels]
    truth = apply_exactly(row, function)[list(found.classes)]
    scores = np.array([each.score for each in expected.labels])
    allowed = TOLERANCE * np.maximum(1, np.abs(truth))
    assert (np.abs(found.scores - truth) <= allowed).all()
    # The host's own sum of many small numbers and a large one is off by more.
    own = np.abs(scores - truth)
    assert (np.abs(found.scores - scores) <= np.maximum(allowed, 2 * own)).all()
    assert (found.margin is None) == (expected.margin is None)
    if found.margin is not None and expected.margin is not None:
        assert found.margin == pytest.approx(expected.margin, abs=2 * max(own.max(), allowed.max()))


def apply_exactly(row: Scores, function: FunctionToApply) -> npt.NDArray[np.float64]:
    logits = row.astype(np.float64)
    if function == "none":
        return logits
    if function == "sigmoid":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-logits))
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", sorted(KINDS))
@hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
@hypothesis.given(data=st.data())
def test_the_device_ranks_as_the_host_whatever_the_logits(
    kind: str, function: FunctionToApply, data: st.DataObject
) -> None:
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 40)))
    logits = data.draw(drawn.arrays(np.float32, shape, elements=KINDS[kind]))
    compare(logits, function, data.draw(st.integers(1, 12)))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("classes", [1, 2, 5, 6, 1000, 100_000])
def test_usual_logits_are_clear_to_the_device(function: FunctionToApply, classes: int) -> None:
    rng = np.random.default_rng(classes)
    logits = (rng.standard_normal((4, classes)) * 2).astype(np.float32)
    assert compare(logits, function, 5) == 4
    halves = np.round(logits.astype(np.float64) * 8).astype(np.float32) / 8  # ties, as bfloat16 has
    assert compare(halves, function, 5) == 4


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_logit_that_is_no_number_is_left_to_the_host(
    function: FunctionToApply, bad: float, place: int
) -> None:
    logits = np.array([[1, 2, 3], [3, 2, 1]], np.float32)
    logits[0, place] = bad
    spoilt, good = rank_on_device(logits, RankSpec(function, 1))
    assert spoilt is None
    assert good is not None
    assert good.classes == (0,)


def test_scores_that_rounding_makes_equal_are_left_to_the_host() -> None:
    saturated = np.array([[90, 100, 95]], np.float32)
    assert rank_on_device(saturated, RankSpec("sigmoid", 2)) == [None]
    vanishing = np.array([[0, -110, -105]], np.float32)
    assert rank_on_device(vanishing, RankSpec("softmax", 2)) == [None]
    assert rank_on_device(vanishing, RankSpec("none", 2)) != [None]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_wide_batch_of_flat_logits_has_its_first_classes(function: FunctionToApply) -> None:
    logits = np.full((2, 100_000), 0.25, np.float32)
    logits[1, 70_000:70_003] = 0.5
    assert compare(logits, function, 5) == 2
    first, second = rank_on_device(logits, RankSpec(function, 5))
    assert first is not None and second is not None
    assert first.classes == (0, 1, 2, 3, 4)
    assert second.classes == (70_000, 70_001, 70_002, 0, 1)
