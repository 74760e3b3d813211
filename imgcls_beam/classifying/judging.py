"""Whether another way to run a model says the same. Heavy: imports torch."""

from typing import Any

import torch

from imgcls_beam.classifying.checkpoints import LOAD_FAULTS
from imgcls_beam.classifying.feeding import Feed, Tensors

_TOLERANCE = 1e-5
"""Of a logit. Scores differ by less than the logits that they are made of."""

_MAX_ERROR_RATIO = 2.0
"""A way may be so much further from the truth than the plain one: its sums run in another order."""


_DRAWS = 4
"""How often the inputs are moved to see what of an answer is rounding."""


class Judge:
    """A model's own answers to the probes, beside which other ways are held.

    The plain way is the reference's: the library's layers, pixels as (N, 3, H, W). Where another
    way's logits differ from it by more than 1e-5, float64 says which of them is nearer the truth,
    picture by picture; a model whose own answers move more with the last digit of its input is
    allowed as much.

    Attributes:
        probes: as the feed stacks them.
    """

    def __init__(self, feed: Feed, probes: Tensors, plain: torch.Tensor) -> None:
        """Takes the plain logits of the probes, as `answer` gives them."""
        self.probes = probes
        self._feed, self._plain = feed, plain
        self._exact: torch.Tensor | None = None

    def is_close(self, found: torch.Tensor) -> bool:
        """Whether other logits of the probes are the plain ones, but for 1e-5."""
        return float((found - self._plain).abs().max()) <= _TOLERANCE

    def accepts(self, found: torch.Tensor, plain_model: torch.nn.Module) -> bool:
        """Whether other logits may stand for the plain ones.

        Args:
            found: of the probes.
            plain_model: is asked in float64 where that is needed, and is itself again afterwards.
        """
        if self.is_close(found):
            return True
        if self._exact is None:
            try:
                with torch.no_grad():
                    self._exact = answer_exactly(plain_model, self._feed, self.probes)
            except LOAD_FAULTS:  # a model that holds a table outside of its weights, say
                return False
        exact, error = self._exact, _measure(found, self._exact)
        own = _measure(self._plain, exact)
        if _is_within(error, own):
            return True
        with torch.no_grad():
            own = torch.maximum(own, self._measure_rounding(plain_model, exact))
        return _is_within(error, own)

    def _measure_rounding(self, model: torch.nn.Module, exact: torch.Tensor) -> torch.Tensor:
        """How far the plain answers lie from the truth where its inputs move by one rounding."""
        dtype = next(model.parameters()).dtype
        inputs = self._feed.move(self.probes, torch.float32)
        ways = torch.Generator().manual_seed(0)
        found = []
        for _ in range(_DRAWS):
            moved = {name: _move(each, dtype, ways) for name, each in inputs.items()}
            found.append(_measure(find_logits(model(**moved)), exact))
        return torch.stack(found).amax(dim=0)


def answer(model: torch.nn.Module, feed: Feed, stacked: Tensors) -> torch.Tensor:
    """A model's logits, float32 (N, C) on its device."""
    parameter = next(model.parameters())
    outputs = model(**feed.move(stacked, parameter.dtype))
    return find_logits(outputs).to(torch.float32)


def find_logits(outputs: Any) -> torch.Tensor:  # noqa: ANN401  transformers' own class
    """A model's scores before any activation, (N, C).

    PP-LCNet gives them as `last_hidden_state`, against the rule of the library, whose own pipeline
    cannot run it.
    """
    logits: torch.Tensor | None = getattr(outputs, "logits", None)
    if logits is None:
        logits = outputs.last_hidden_state
        if logits.dim() != 2:
            raise ValueError("the model gives no logits")
    return logits


def answer_exactly(model: torch.nn.Module, feed: Feed, stacked: Tensors) -> torch.Tensor:
    """The logits in float64, (N, C): of the inputs as they are in float32.

    The weights are float64 meanwhile, so they take twice their memory; coming back loses nothing.
    """
    weights = [each for each in (*model.parameters(), *model.buffers()) if each.is_floating_point()]
    dtypes = [each.dtype for each in weights]
    try:
        for weight in weights:
            weight.data = weight.data.to(torch.float64)
        logits = find_logits(model(**feed.move(stacked, torch.float64)))
    finally:
        for weight, dtype in zip(weights, dtypes, strict=True):
            weight.data = weight.data.to(dtype)
    return logits.to(torch.float64)


def _move(values: torch.Tensor, dtype: torch.dtype, ways: torch.Generator) -> torch.Tensor:
    """Inputs, each up or down by one rounding of the largest in this type, or as it is."""
    if not values.is_floating_point():
        return values
    steps = torch.randint(-1, 2, values.shape, generator=ways).to(values)
    return (values + steps * values.abs().max() * torch.finfo(dtype).eps).to(dtype)


def _is_within(error: torch.Tensor, own: torch.Tensor) -> bool:
    """Whether each picture's error is allowed beside the model's own, float64 (N,) both."""
    return bool((error <= (_MAX_ERROR_RATIO * own).clamp(min=_TOLERANCE)).all())


def _measure(found: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """How far each picture's logits are from the truth at most, float64 (N,)."""
    return (found.to(torch.float64) - exact).abs().amax(dim=1)
