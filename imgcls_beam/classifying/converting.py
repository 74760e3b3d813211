"""A model of transformers → a graph of OpenVINO. Heavy: imports torch and openvino."""

import contextlib
import functools
import warnings
from collections.abc import Iterator
from typing import Any

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

from imgcls_beam.classifying.feeding import Feed, Tensors
from imgcls_beam.classifying.judging import find_logits

_TRACED_IMAGES = 2
"""Of one image a trace may take the batch for an axis that can be left out."""


def convert(model: Any, feed: Feed, probes: Tensors) -> openvino.Model:  # noqa: ANN401
    """Traces a float32 model on the CPU; its weights stay where they are, and are shared.

    The scale and shift of the feed are part of the graph, so its inputs are what `Feed.stack`
    gives: of one image, and of the probes' shapes. The library's own `convert_model`
    is not used: it reports each conversion to its makers.

    Args:
        model: of transformers.
        feed: of the model.
        probes: as the feed stacks them.

    Raises:
        Exception: whatever torch or the library raises on a model that cannot be converted.
    """
    names = list(probes)
    example = tuple(probes[name][:_TRACED_IMAGES] for name in names)
    with torch.no_grad(), warnings.catch_warnings(), _make_traceable(model):
        warnings.simplefilter("ignore")
        whole = _Whole(model, feed, names)
        traced = torch.jit.trace(whole, example, check_trace=False, strict=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced, example_input=example)
        frontend = FrontEndManager().load_by_framework("pytorch")
        graph = frontend.convert(frontend.load(decoder))
    graph.reshape({index: [1, *each.shape[1:]] for index, each in enumerate(example)})
    return graph


class _Whole(torch.nn.Module):
    """From stacked inputs to logits."""

    def __init__(self, model: Any, feed: Feed, names: list[str]) -> None:  # noqa: ANN401
        super().__init__()
        self._model, self._feed, self._names = model, feed, names

    def forward(self, *stacked: torch.Tensor) -> torch.Tensor:
        moved = self._feed.move(dict(zip(self._names, stacked, strict=True)), torch.float32)
        return find_logits(self._model(**moved))


@contextlib.contextmanager
def _make_traceable(model: Any) -> Iterator[None]:  # noqa: ANN401
    """Takes out meanwhile what a graph cannot say.

    ImageGPT gives back what it would need to go on with a sequence. EfficientNet's pooling has a
    window that is larger than what it pools.
    """
    caches = getattr(model.config, "use_cache", None)
    pools = [each for each in model.modules() if _pools_beyond(each)]
    try:
        if caches:
            model.config.use_cache = False
        for pool in pools:
            pool.forward = functools.partial(_pool, pool)
        yield
    finally:
        if caches:
            model.config.use_cache = caches
        for pool in pools:
            del pool.forward


def _pools_beyond(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.AvgPool2d) and module.ceil_mode and not module.padding


def _pool(pool: torch.nn.AvgPool2d, images: torch.Tensor) -> torch.Tensor:
    """`AvgPool2d`, whose window counts only what lies inside the image."""
    size = pool.kernel_size
    edges = size if isinstance(size, tuple) else (size, size)
    if edges[0] >= images.shape[2] and edges[1] >= images.shape[3]:
        return images.mean(dim=(2, 3), keepdim=True)
    return torch.nn.AvgPool2d.forward(pool, images)
