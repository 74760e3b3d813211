"""The fastest way to run a model that says the same. Heavy: imports torch.

There are two fast ways: pixels that stay (N, H, W, 3) in memory for convolutions, and linear layers
packed for the CPU. Each is taken only if the probes show that it is as near the truth as the plain
way, which is the reference's own; see `judging`.
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
    if feed.has_layouts and _count_convolutions(model) >= _WORTH_CONVOLUTIONS:
        feed.is_channels_last = True
        found = answer(model, feed, judge.probes)
        feed.is_channels_last = False  # the truth is asked for in the plain way
        feed.is_channels_last = judge.accepts(found, model)
    if can_prepack(model, feed.device):
        return _pack(model, feed, judge, load_again)
    return model


def _count_convolutions(model: torch.nn.Module) -> int:
    return sum(isinstance(each, _CONVOLUTIONS) for each in model.modules())


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
