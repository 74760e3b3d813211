"""The fastest way to run a model that says the same. Heavy: imports torch.

There are two fast ways: pixels that stay (N, H, W, 3) in memory for convolutions, on a GPU with
weights in that order too, and linear layers packed for the CPU. Each is taken only if the probes
show that it is as near the truth as the plain way, which is the reference's own; see `judging`. A
third is for those who ask for it, see `compiling`.
"""

from collections.abc import Callable
from typing import Any

import torch

from imgcls_beam.classifying.checkpoints import LOAD_FAULTS
from imgcls_beam.classifying.feeding import Feed
from imgcls_beam.classifying.judging import Judge, answer
from imgcls_beam.classifying.prepacking import can_prepack, prepack

_CONVOLUTIONS = (torch.nn.Conv2d,)
_WORTH_CONVOLUTIONS = 2
"""One is how a transformer cuts its patches; it gains nothing."""


def tune(model: Any, feed: Feed, judge: Judge, load_again: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Chooses the layout of a feed's pixels, and gives linear layers a faster form.

    Args:
        model: as it was loaded, on the feed's device; not to be used any more afterwards.
        feed: of the model; its layout is set.
        judge: has the model's plain answers.
        load_again: loads the same model: what is packed cannot be unpacked.

    Returns:
        The model to use.
    """
    if feed.has_layouts and is_convolutional(model):
        # A GPU would bring the weights into the pixels' order in each pass.
        lay_out(model, feed, judge, has_weights=feed.device.type != "cpu")
    if can_prepack(model, feed.device):
        return _pack(model, feed, judge, load_again)
    return model


def is_convolutional(model: torch.nn.Module) -> bool:
    """Whether a model has convolutions beside the one that cuts patches."""
    count = sum(isinstance(each, _CONVOLUTIONS) for each in model.modules())
    return count >= _WORTH_CONVOLUTIONS


def lay_out(model: Any, feed: Feed, judge: Judge, *, has_weights: bool) -> None:  # noqa: ANN401
    """Lets pixels stay (N, H, W, 3) in memory where the judge accepts it, and weights with them."""
    feed.is_channels_last = True
    if has_weights:
        model.to(memory_format=torch.channels_last)
    found = answer(model, feed, judge.probes)
    feed.is_channels_last = False  # the truth is asked for in the plain way
    feed.is_channels_last = judge.accepts(found, model)
    if has_weights and not feed.is_channels_last:
        model.to(memory_format=torch.contiguous_format)


def _pack(model: Any, feed: Feed, judge: Judge, load_again: Callable[[], Any]) -> Any:  # noqa: ANN401
    first = {name: each[:1] for name, each in judge.probes.items()}
    try:
        prepack(model, feed.move(first, model.dtype))
        found = answer(model, feed, judge.probes)
    except LOAD_FAULTS:  # a model that reads a layer's weight by itself
        return load_again()
    if judge.is_close(found):
        return model
    plain_model = load_again()
    return model if judge.accepts(found, plain_model) else plain_model
