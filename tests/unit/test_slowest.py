"""Which stage is said to be the slowest, by drawn numbers."""

import random

import pytest

from imgcls_beam.board import Progress
from imgcls_beam.errors import Stage
from imgcls_beam.slowest import Cause, find_slowest

STAGES = (Stage.LIST, Stage.READ, Stage.PREPARE, Stage.PREDICT, Stage.SINK)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_one_that_holds_workers_up_for_longest(stage: Stage, seed: int) -> None:
    drawn = random.Random(seed)
    held_s = {each: drawn.uniform(0, 10) for each in STAGES} | {stage: 10.5}
    longest_s = {each: drawn.uniform(0, 0.4) * held_s[each] for each in STAGES}
    found = find_slowest(Progress(1000, 900, 100, held_s=held_s, longest_s=longest_s))
    assert found is not None
    assert (found.stage, found.cause) == (stage, Cause.STAGE)
    assert found.share == pytest.approx(10.5 / sum(held_s.values()))


@pytest.mark.parametrize("held_s", [{}, {"read": 0.0}, {"read": 0.4, "predict": 0.5}])
def test_at_first_nothing_is_said(held_s: dict[str, float]) -> None:
    assert find_slowest(Progress(100, 10, held_s=held_s)) is None


@pytest.mark.parametrize(
    ("progress", "cause"),
    [
        (Progress(8, 3, 5, held_s={"read": 2}), Cause.ERRORS),
        (Progress(8, 4, 4, held_s={"read": 2}), Cause.STAGE),
        (Progress(7, 0, 7, held_s={"read": 2}), Cause.STAGE),  # too few to say "most"
        (Progress(8, 1, 0, held_s={"prepare": 2}, longest_s={"prepare": 1.1}), Cause.ONE_IMAGE),
        (Progress(8, 1, 0, held_s={"prepare": 2}, longest_s={"prepare": 1.0}), Cause.STAGE),
        (Progress(7, 1, 0, held_s={"prepare": 2}, longest_s={"prepare": 2.0}), Cause.STAGE),
        (Progress(8, 1, 0, held_s={"read": 2}, longest_s={"read": 2.0}), Cause.STAGE),  # of a batch
    ],
)
def test_one_large_image_and_many_errors_are_told_apart(progress: Progress, cause: Cause) -> None:
    found = find_slowest(progress)
    assert found is not None
    assert found.cause is cause


def test_stages_that_take_as_long_as_each_other_are_told_in_one_order() -> None:
    found = [
        find_slowest(Progress(held_s=dict.fromkeys(names, 2.0)))
        for names in (("read", "predict"), ("predict", "read"))
    ]
    assert found[0] == found[1]
