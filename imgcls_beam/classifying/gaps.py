"""What a checkpoint lacks, and whether a prediction would show it. Heavy: imports torch.

A gap is filled with two different values, and the model is asked about the probes each time. Where
it answers the same, no prediction reads the weight: a counter of training steps, the head of
another task, a token for training. A table that the model computes from its config is no gap.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping

import torch

from imgcls_beam.classifying.checkpoints import Checkpoint
from imgcls_beam.classifying.configs import explain_classes
from imgcls_beam.errors import ModelError
from imgcls_beam.json_bounds import load_bounded_file
from imgcls_beam.models import fetch_model
from imgcls_beam.scoring import ModelSource

_SHOWN = 3
MOVING_FAULTS = (RuntimeError, LookupError, ValueError, TypeError)
"""What a model raises where a weight has a value that it cannot work with: an index, say."""

Ask = Callable[[], torch.Tensor]
"""Asks a model, as it is now, about the probes: its logits."""

_Weights = Mapping[str, torch.Tensor]


def fill_gaps(checkpoint: Checkpoint) -> None:
    """Puts 0 where the library left memory as it is, and it is no number."""
    weights = _name_weights(checkpoint.model)
    for name in checkpoint.missing:
        if name in weights:
            weights[name].nan_to_num_(0.0, 0.0, 0.0)


def check_gaps(checkpoint: Checkpoint, source: ModelSource, ask: Ask) -> None:
    """Refuses a model of which a prediction reads a weight that the checkpoint lacks.

    It would be filled at random, with a warning only.

    Args:
        checkpoint: as it was loaded, its gaps filled with numbers. Those are there afterwards, too.
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
    names = ", ".join(read[:_SHOWN]) + (" …" if len(read) > _SHOWN else "")
    if classes := _count_classes(checkpoint, read):
        config = load_bounded_file(fetch_model(source) / "config.json")
        wanted, found = classes
        problem = explain_classes(config, wanted, f"{found:,} ({names})")
        raise ModelError(f"{source.model_id}: {problem}")
    kind = f" of a {checkpoint.architecture}" if checkpoint.architecture else ""
    problem = f"the checkpoint{kind} lacks or misshapes weights that a prediction reads ({names})"
    raise ModelError(f"{source.model_id}: {problem}; it would predict at random")


def _count_classes(checkpoint: Checkpoint, read: list[str]) -> tuple[int, int] | None:
    """How many classes the config and the weights have; None where that is not all."""
    shapes = [checkpoint.misshapen.get(name, ((), ())) for name in read]
    wanted = {shape[:1] for _, shape in shapes}
    found = {shape[:1] for shape, _ in shapes}
    is_head = wanted == {(checkpoint.model.config.num_labels,)} and len(found) == 1
    if not is_head or any(here[1:] != there[1:] for here, there in shapes):
        return None
    return checkpoint.model.config.num_labels, next(iter(found))[0]


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
    computed = _find_computed(known, checkpoint)
    yield from (name for name in checkpoint.missing if name not in weights)
    yield from find_moving(
        [name for name in known if name not in computed], functools.partial(_moves, known, ask)
    )


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


def find_moving(names: list[str], moves: Callable[[list[str]], bool]) -> Iterator[str]:
    """Halves the names as long as a half moves the answer by itself."""
    if not names or not moves(names):
        return
    if len(names) == 1:
        yield from names
        return
    middle = len(names) // 2
    halves = (names[:middle], names[middle:])
    found = (name for half in halves for name in find_moving(half, moves))
    # Together they may move what none moves alone: a weight behind one that is zero, say.
    first = list(itertools.islice(found, 1))
    yield from itertools.chain(first or names, found)


def _moves(gaps: _Weights, ask: Ask, names: list[str]) -> bool:
    """Whether the answer changes with the values of these weights; they are as before then."""
    before = {name: gaps[name].clone() for name in names}
    answers = []
    try:
        for seed in (1, 1, 2):
            for name in names:
                gaps[name].copy_(draw_values(gaps[name], seed))
            answers.append(ask())
    except MOVING_FAULTS:
        return True
    finally:
        for name in names:
            gaps[name].copy_(before[name])
    return has_moved(*answers)


def has_moved(first: torch.Tensor, again: torch.Tensor, *others: torch.Tensor) -> bool:
    """Whether answers differ by more than two of the same model do, or one is not finite."""
    if not all(bool(torch.isfinite(each).all()) for each in (first, *others)):
        return True
    noise = (first - again).abs().max()
    return any(bool(((first - each).abs() > noise).any()) for each in others)


def draw_values(weight: torch.Tensor, seed: int) -> torch.Tensor:
    """Numbers to fill a weight with: normal ones, zeros and ones where it has whole numbers."""
    numbers = torch.Generator().manual_seed(seed)
    if weight.is_floating_point():
        return torch.randn(weight.shape, generator=numbers)
    return torch.randint(0, 2, weight.shape, generator=numbers)
