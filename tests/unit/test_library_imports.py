"""Without what a classifier does not use models say the same, and the rest can be had later."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from imgcls_beam.library_imports import leave_out_unused
from tests.lean_logits import classify
from tests.models import FAMILIES

ROOT = pathlib.Path(__file__).parents[2]
NOT_USED = {"sympy", "torch._dynamo", "torch._inductor", "torch.distributed.tensor"}
_LATER = """
from imgcls_beam import library_imports as ours
ours.leave_out_unused()
import sys, torch
from torch.fx.experimental.symbolic_shapes import expect_true, is_nested_int
assert expect_true(True) and not expect_true(False) and not is_nested_int(3)

import transformers.integrations.flash_attention
from transformers import AutoModelForImageClassification, ViTModel
assert not {"sympy", "torch._dynamo"} & set(sys.modules)

with ours._unmark(torch):
    assert ours._is_stand_in("torch._dynamo")
    from torch._dynamo.eval_frame import OptimizedModule
    assert not ours._is_stand_in("torch._dynamo")
assert torch._dynamo.eval_frame.OptimizedModule is OptimizedModule
assert torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2)).tolist() == [2, 2]

from torch.fx.experimental.symbolic_shapes import ShapeEnv
assert "sympy" in sys.modules
unknown = ShapeEnv().create_unbacked_symbool()
assert not is_nested_int(3) and expect_true(unknown) is True

import transformers.generation.continuous_batching as batching
assert ours._is_stand_in(batching.__name__)
assert batching.ContinuousBatchingManager.__module__.startswith("transformers.")
from transformers.generation.continuous_batching.cache import PagedAttentionCache
assert PagedAttentionCache.__module__.startswith("transformers.")
"""


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        **{"capture_output": True, "check": False, "text": True, "cwd": ROOT},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "families",
    [("vit", "convnext"), pytest.param(("vit", *FAMILIES), marks=pytest.mark.long(minutes=1))],
    ids=["two", "all"],
)
def test_a_family_has_the_logits_that_it_has_with_the_whole_library(
    model_folders: dict[str, pathlib.Path], families: tuple[str, ...]
) -> None:
    folders = [str(model_folders[family]) for family in families]
    found = json.loads(run("-m", "tests.lean_logits", *folders))
    assert not NOT_USED & set(found["modules"])
    for folder in folders:
        expected = classify(folder)
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(found["logits"][folder], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_what_is_left_out_can_be_had_later() -> None:
    run("-c", _LATER)


def test_a_process_that_has_the_library_already_keeps_it_as_it_is() -> None:
    assert "transformers" in sys.modules
    before = list(sys.meta_path)
    leave_out_unused()
    assert sys.meta_path == before
