"""What bundles staged is added up by a combiner, and each engine merges in its own order."""

import dataclasses
import functools
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from apache_beam.transforms.core import CallableWrapperCombineFn

from imgcls_beam.passed_over import PassedOver, Reason, merge_passed_over
from imgcls_beam.scoring import SandboxState
from imgcls_beam.sinks.record_parts import RecordedEngine, RecordedFile
from imgcls_beam.sinks.staged_files import StagedFiles, merge_staged
from imgcls_beam.summary import Summary
from tests.staged import RUN

SCORINGS = [dataclasses.replace(RUN, model_id=f"owner/{each}").scoring for each in "ab"]


def make_bundle(index: int) -> StagedFiles:
    """What bundle `index` staged; engines have other reasons, and models another order."""
    key = SCORINGS[index % 2].model.key
    return StagedFiles(
        files=(RecordedFile(f"s/{index}", 10 + index, 100 * index, f"{index:02}", key),),
        summary=Summary(
            statuses={"ok": index, "error": 1},
            labels={f"label {index % 3}": index},
            inference_ms=float(index),
        ),
        scorings=(SCORINGS[index % 2], SCORINGS[(index + 1) % 2])[: 1 + index % 2],
        engines=(RecordedEngine(key, "torch", f"for reason {index}"),),
        sandbox=(SandboxState("child" if index % 2 else "worker"),),
    )


def merge_in_any_order(merge: Callable[[Any], Any], elements: Sequence[Any], seed: int) -> Any:
    """As an engine may: elements into accumulators, and these into each other, empty ones too."""
    chance, combine = random.Random(seed), CallableWrapperCombineFn(merge, buffer_size=2)
    waiting = list(elements)
    chance.shuffle(waiting)
    accumulators = [combine.create_accumulator() for _ in range(1 + len(waiting) // 2)]
    for each in waiting:
        index = chance.randrange(len(accumulators))
        accumulators[index] = combine.add_input(accumulators[index], each)
    while len(accumulators) > 1:
        chance.shuffle(accumulators)
        taken = chance.randint(1, len(accumulators))
        merged = combine.merge_accumulators(accumulators[:taken])
        accumulators = [combine.compact(merged), *accumulators[taken:]]
    return combine.extract_output(accumulators[0])


@pytest.mark.parametrize("seed", range(30))
def test_staged_files_add_up_to_the_same_in_any_order(seed: int) -> None:
    bundles = [make_bundle(index) for index in range(7)]
    once, merged = merge_staged(bundles), merge_in_any_order(merge_staged, bundles, seed)
    assert merged == once


@pytest.mark.parametrize("seed", range(10))
def test_what_was_passed_over_adds_up_to_the_same_in_any_order(seed: int) -> None:
    several = [PassedOver({(Reason.SUFFIX, f".{each % 3}"): each}) for each in range(7)]
    assert merge_in_any_order(merge_passed_over, several, seed) == merge_passed_over(several)


def test_every_order_of_three_bundles_is_one_result() -> None:
    bundles = [make_bundle(index) for index in range(3)]
    for order in itertools.permutations(bundles):
        assert merge_staged(order) == merge_staged(bundles)
        merged = functools.reduce(lambda one, other: merge_staged([one, other]), order)
        assert merged == merge_staged(bundles)
