"""What a checkpoint lacks, and whether a prediction would show it. Heavy: imports torch.

A gap is filled with two different values, and the model is asked about the probes each time. Where
it answers the same, no prediction reads the weight: a counter of training steps, the head of
another task, a token for training. A table that the model computes from its config is no gap.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping

import torch

from imgcls_beam.classifying.checkpoints import Checkpoint
from imgcls_beam.errors import ModelError
from imgcls_beam.scoring import ModelSource

_SHOWN = 3

Ask = Callable[[], torch.Tensor]
"""Asks a model, as it is now, about the probes: its logits."""

_Weights = Mapping[str, torch.Tensor]


def check_gaps(checkpoint: Checkpoint, source: ModelSource, ask: Ask) -> None:
    """Refuses a model of which a prediction reads a weight that the checkpoint lacks.

    It would be filled at random, with a warning only.

    Args:
        checkpoint: as it was loaded. What the library filled a gap with is there again afterwards,
            unless it was not finite.
        source: is named.
        ask: asks this model.

    Raises:
        ModelError: such a weight is missing.
    """
    read = list(itertools.islice(_find_read(checkpoint, ask), _SHOWN + 1))
    if not read:
        return
    if prefix := _find_prefix(checkpoint):
        problem = f"the names of its weights begin with {prefix!r}, as a wrapper of the model's has"
        advice = "save the model inside the wrapper, or take the prefix off"
        raise ModelError(f"{source.model_id}: {problem} them; {advice}")
    kind = f" of a {checkpoint.architecture}" if checkpoint.architecture else ""
    names = ", ".join(read[:_SHOWN]) + (" …" if len(read) > _SHOWN else "")
    problem = f"the checkpoint{kind} lacks or misshapes weights that a prediction reads ({names})"
    raise ModelError(f"{source.model_id}: {problem}; it would predict at random")


def _find_prefix(checkpoint: Checkpoint) -> str | None:
    """What all names begin with that the model does not know, if it would know them without."""
    unexpected, missing = checkpoint.unexpected, set(checkpoint.missing)
    parts = unexpected[0].split(".")[:-1] if unexpected else []
    for prefix in itertools.accumulate(f"{part}." for part in parts):
        known = {name.removeprefix(prefix) for name in unexpected if name.startswith(prefix)}
        if len(known) == len(unexpected) and known & missing:
            return prefix
    return None


def _find_read(checkpoint: Checkpoint, ask: Ask) -> Iterator[str]:
    weights = _name_weights(checkpoint.model)
    known = {name: weights[name] for name in checkpoint.missing if name in weights}
    for weight in known.values():
        weight.nan_to_num_(0.0, 0.0, 0.0)  # the library leaves memory as it is here and there
    computed = _find_computed(known, checkpoint)
    yield from (name for name in checkpoint.missing if name not in weights)
    yield from _find_moving({name: known[name] for name in known if name not in computed}, ask)


def _name_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    parameters = model.named_parameters(remove_duplicate=False)
    return {
        name: weight.data
        for name, weight in (*parameters, *model.named_buffers(remove_duplicate=False))
    }


def _find_computed(weights: _Weights, checkpoint: Checkpoint) -> set[str]:
    """The tables: not learned, of several values, and the same in a model that is made anew."""
    learned = {name for name, each in checkpoint.model.named_parameters() if each.requires_grad}
    tables = [
        name
        for name, each in weights.items()
        if name not in learned and bool((each != each.flatten()[:1]).any())
    ]
    made = _name_weights(checkpoint.make_anew()) if tables else {}
    return {name for name in tables if torch.equal(made[name].to(weights[name]), weights[name])}


def _find_moving(gaps: _Weights, ask: Ask) -> Iterator[str]:
    """Halves the gaps as long as a half moves the answer by itself."""
    if not gaps or not _move(gaps, ask):
        return
    if len(gaps) == 1:
        yield from gaps
        return
    names = list(gaps)
    middle = len(names) // 2
    halves = ({name: gaps[name] for name in half} for half in (names[:middle], names[middle:]))
    found = (name for half in halves for name in _find_moving(half, ask))
    # Together they may move what none moves alone: a weight behind one that is zero, say.
    first = list(itertools.islice(found, 1))
    yield from itertools.chain(first or names, found)


def _move(gaps: _Weights, ask: Ask) -> bool:
    """Whether the answer changes with the values of these weights; they are as before then."""
    before = {name: weight.clone() for name, weight in gaps.items()}
    try:
        first, again, second = (_fill_and_ask(gaps, seed, ask) for seed in (1, 1, 2))
    except (RuntimeError, LookupError, ValueError, TypeError):
        return True  # an index out of range, say
    finally:
        for name, weight in gaps.items():
            weight.copy_(before[name])
    if not bool(torch.isfinite(first).all() and torch.isfinite(second).all()):
        return True
    return bool(((first - second).abs() > (first - again).abs().max()).any())


def _fill_and_ask(gaps: _Weights, seed: int, ask: Ask) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(seed)
    for weight in gaps.values():
        if weight.is_floating_point():
            values = torch.randn(weight.shape, generator=numbers)
        else:
            values = torch.randint(0, 2, weight.shape, generator=numbers)
        weight.copy_(values)
    return ask()
