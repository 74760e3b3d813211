"""What a GPU may run instead of a plain model: compiled, or with its weights in the pixels' order.

Compiled are the graphs that torch finds, by a backend that runs them as they are.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import ImageClassifierOutput

from imgcls_beam.classifying.compiling import CompiledModel, compile_if_faster
from imgcls_beam.classifying.core_share import CoreShare
from imgcls_beam.classifying.device_running import DeviceRunner
from imgcls_beam.classifying.feeding import Feed
from imgcls_beam.classifying.judging import Judge, answer
from imgcls_beam.classifying.torch_running import TorchRunner
from imgcls_beam.classifying.tuning import lay_out
from imgcls_beam.elements import ModelInputs
from imgcls_beam.errors import ConfigError
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.scoring import ChannelAffine, EngineChoice
from tests.lanes import LateLane

AFFINE = ChannelAffine((1 / 255,) * 3, (0.0,) * 3)
CHOICE = EngineChoice("torch", "asked for")
SIZE_PX = 8


class Convolutional(torch.nn.Module):
    """Convolutions, as many as are asked for, and the mean of what they give."""

    dtype = torch.float32

    def __init__(self, convolutions: int = 2) -> None:
        super().__init__()
        torch.manual_seed(1)
        sizes = [3, *[6] * convolutions]
        pairs = itertools.pairwise(sizes)
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(*pair, 3) for pair in pairs)

    def forward(self, pixel_values: torch.Tensor) -> ImageClassifierOutput:
        for layer in self.layers:
            pixel_values = torch.nn.functional.gelu(layer(pixel_values))
        return ImageClassifierOutput(logits=pixel_values.mean(dim=(2, 3)))


@dataclasses.dataclass
class Backend:
    """Runs the graphs that torch hands it, and counts them; off by a factor."""

    factor: float = 1.0
    graphs: int = 0

    def __call__(self, graph: Any, inputs: Sequence[torch.Tensor]) -> Callable[..., Any]:
        del inputs
        self.graphs += 1
        return lambda *given: tuple(each * self.factor for each in graph(*given))

    def compile(self, model: Any) -> Callable[..., Any]:
        torch._dynamo.reset()  # of other tests, whose graphs it would take
        return torch.compile(model, backend=self)


def draw(count: int, size_px: int = SIZE_PX) -> list[ModelInputs]:
    levels = np.random.default_rng(count).integers(0, 256, (count, size_px, size_px, 3), np.uint8)
    return [{"pixel_values": each} for each in levels]


def make(model: torch.nn.Module) -> tuple[DeviceRunner, Judge]:
    feed = Feed(torch.device("cpu"), AFFINE)
    probes = feed.stack(draw(5))
    with torch.no_grad():
        judge = Judge(feed, probes, answer(model, feed, probes))
    return DeviceRunner(CHOICE, model, feed, LateLane()), judge


def measure_as(plain: float, compiled: float) -> Callable[[Callable[[], object], int], float]:
    rates = iter((plain, compiled))

    def measure(run: Callable[[], object], images: int) -> float:
        assert images == 64
        run()
        return next(rates)

    return measure


def test_a_faster_form_is_taken_and_compiled_once_for_batches_of_all_sizes() -> None:
    backend, model = Backend(), Convolutional()
    runner, judge = make(model)
    choice = compile_if_faster(runner, judge, measure_as(10, 20), backend.compile)
    assert choice.name == "torch.compile"
    assert choice.why.startswith("20.0 images/s alone after ")
    assert choice.why.endswith(" s of compiling, plain 10.0")
    assert isinstance(runner.model, CompiledModel)
    plain, _ = make(model)
    batches = [draw(count) for count in (2, 3, 64, 7, 1)] + [draw(2, 12)]
    for batch in batches:
        found, expected = (each.run(each.stack(batch)) for each in (runner, plain))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert backend.graphs == 1


def test_a_form_that_is_not_faster_is_left() -> None:
    runner, judge = make(model := Convolutional())
    choice = compile_if_faster(runner, judge, measure_as(20, 10), Backend().compile)
    assert choice.name == "torch"
    assert choice.why.startswith("10.0 images/s alone after ")
    assert runner.model is model


@pytest.mark.parametrize("factor", [1.001, 0.0, float("nan")])
def test_a_form_that_is_further_from_the_truth_is_left(factor: float) -> None:
    runner, judge = make(model := Convolutional())
    choice = compile_if_faster(runner, judge, measure_as(1, 2), Backend(factor).compile)
    why = "compiled, its scores of a picture are further from the truth"
    assert choice == EngineChoice("torch", why)
    assert runner.model is model


def test_where_nothing_can_be_compiled_torch_goes_on_and_says_why() -> None:
    def fail(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("Cannot find a working triton installation. Please install it.")

    runner, judge = make(model := Convolutional())
    torch._dynamo.reset()
    choice = compile_if_faster(
        runner, judge, measure_as(1, 2), lambda each: torch.compile(each, backend=fail)
    )
    assert choice.name == "torch"
    assert choice.why.startswith("torch.compile cannot run it (")
    assert "triton" in choice.why
    assert runner.model is model


def test_a_transformer_is_left_as_it_is() -> None:
    runner, judge = make(Convolutional(1))
    choice = compile_if_faster(runner, judge, measure_as(1, 2), Backend().compile)
    assert choice == EngineChoice("torch", "torch.compile is for convolutional models here")


def test_on_the_cpu_it_is_said_and_not_done() -> None:
    runner, judge = make(model := Convolutional())
    on_cpu = TorchRunner(CHOICE, model, runner.feed, CoreShare(cores=1, is_fixed=True))
    choice = compile_if_faster(on_cpu, judge, measure_as(1, 2), Backend().compile)
    assert choice == EngineChoice("torch", "torch.compile is for GPUs here")
    with pytest.raises(ConfigError, match="it is for GPUs"):
        ModelOptions(engine="torch.compile", device="cpu")


@pytest.mark.parametrize("is_accepted", [True, False])
def test_weights_lie_in_memory_as_the_pixels_do(
    is_accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, judge = make(model := Convolutional())
    expected = runner.run(runner.stack(draw(3)))
    if not is_accepted:
        monkeypatch.setattr(Judge, "accepts", lambda *_: False)
    with torch.no_grad():
        lay_out(model, runner.feed, judge, has_weights=True)
    assert runner.feed.is_channels_last is is_accepted
    for layer in model.layers:
        assert isinstance(layer, torch.nn.Conv2d)
        is_last = layer.weight.is_contiguous(memory_format=torch.channels_last)
        assert (is_last, layer.weight.is_contiguous()) == (is_accepted, not is_accepted)
    np.testing.assert_allclose(runner.run(runner.stack(draw(3))), expected, atol=1e-5)
