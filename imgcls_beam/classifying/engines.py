"""Which engine runs a model: the fastest that is installed and says the same. Heavy.

OpenVINO's answers to the probes are held beside the plain ones, as those of every other fast way,
see `judging`. Then both engines are timed. What was found is kept, see `known`.
"""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from imgcls_beam.classifying.core_share import share_cores
from imgcls_beam.classifying.feeding import Feed
from imgcls_beam.classifying.judging import Judge, answer
from imgcls_beam.classifying.known import (
    KIND,
    describe_card,
    has_openvino,
    load_kept_runner,
    make_key,
)
from imgcls_beam.classifying.protocol import ClassifierCard, ClassifierSpec
from imgcls_beam.classifying.running import Runner
from imgcls_beam.classifying.torch_running import TorchRunner
from imgcls_beam.classifying.tuning import tune
from imgcls_beam.errors import ModelError
from imgcls_beam.models.keeping import find_kept, keep
from imgcls_beam.reasons import describe_reason
from imgcls_beam.scoring import EngineChoice

_WORTH_MS = 2.0
"""An image that takes the model no longer waits for its decoder, whatever runs the model."""

_TIMED_S = 0.5
"""An engine is timed for about so long."""
_CORE_IMAGES = 2
"""And with a batch of so many images for each core."""


@dataclasses.dataclass
class Plain:
    """A model as it was loaded, and checked.

    `model` is taken out once nothing is asked of it any more, so that its memory is free for the
    form that is run.

    Attributes:
        spec: which model, and on what.
        card: what it is.
        model: of transformers, as the library runs it.
        feed: of the model.
        judge: has its plain answers to the probes.
        load_again: loads the same model.
    """

    spec: ClassifierSpec
    card: ClassifierCard
    model: Any
    feed: Feed
    judge: Judge
    load_again: Callable[[], Any]


def choose_runner(plain: Plain) -> Runner:
    """The runner of a model, which is not to be used any more afterwards.

    Raises:
        ModelError: OpenVINO was asked for, and cannot be used.
    """
    if why := _explain_torch(plain):
        return _make_torch(plain, why)
    key = make_key(plain.spec)
    kept = find_kept(KIND, key)
    if kept is not None:
        kept_runner = load_kept_runner(kept, share_cores(plain.spec))
        return kept_runner or _make_torch(plain, kept.facts["choice"]["why"])
    found = _try_openvino(plain)
    if isinstance(found, str):
        if plain.spec.engine == "openvino":
            raise ModelError(f"{plain.spec.source.model_id}: {found}; give --engine=torch")
        keep(KIND, key, {"choice": dataclasses.asdict(EngineChoice("torch", found))})
        return _make_torch(plain, found)
    if plain.spec.engine == "openvino":
        return _keep_openvino(plain, key, found, "asked for")
    return _take_faster(plain, key, found)


def _explain_torch(plain: Plain) -> str | None:
    """Why nothing else than torch comes into question; None where OpenVINO does.

    Raises:
        ModelError: OpenVINO was asked for, and cannot be used.
    """
    spec = plain.spec
    if spec.engine == "torch":
        return "asked for"
    is_asked, why = spec.engine == "openvino", None
    if plain.feed.device.type != "cpu":
        why = "OpenVINO runs on the CPU here"
    elif not has_openvino():
        why = "OpenVINO is not installed"
    elif plain.model.dtype not in (torch.float32, torch.bfloat16):
        why = "OpenVINO runs float32 and bfloat16 here"
    elif not is_asked and (took_ms := _time_plain_ms(plain)) < _WORTH_MS:
        return f"an image takes {took_ms:.1f} ms, less than its decoding"
    if why is not None and is_asked:
        advice = "pip install openvino, or " if not has_openvino() else ""
        raise ModelError(f"{spec.source.model_id}: {why}; {advice}give --engine=torch")
    return why


def _time_plain_ms(plain: Plain) -> float:
    """Of one image of the probes, at best."""
    probes = plain.judge.probes
    images = len(next(iter(probes.values())))
    with torch.no_grad():
        rate = _measure(lambda: answer(plain.model, plain.feed, probes), images, 0.1)
    return 1e3 / rate


def _measure(run: Callable[[], object], images: int, budget_s: float = _TIMED_S) -> float:
    """Images/s at best of two or more runs with so many: the first makes what is made once.

    That is little of a run that takes long by itself.
    """
    took_s: list[float] = []
    while sum(took_s) < budget_s or (len(took_s) < 2 and took_s[0] < 4 * budget_s):
        before_s = time.perf_counter()
        run()
        took_s.append(time.perf_counter() - before_s)
    return images / min(took_s)


@dataclasses.dataclass
class _Graph:
    """What OpenVINO made of a model. `graph` is taken out once it is kept.

    Attributes:
        graph: before it is compiled.
        facts: of it, as `OpenVinoRunner` takes them.
        rate: images/s.
    """

    graph: Any
    facts: Mapping[str, Any]
    rate: float


def _try_openvino(plain: Plain) -> _Graph | str:
    """Converts, judges and times; gives a sentence where that is not to be used."""
    from imgcls_beam.classifying.converting import convert

    probes = plain.judge.probes
    shapes = {name: list(each.shape[1:]) for name, each in probes.items()}
    dtype = str(plain.model.dtype).removeprefix("torch.")
    model = plain.model if dtype == "float32" else plain.load_again().float()
    try:
        graph = convert(model, plain.feed, probes)
        facts = {"shapes": shapes, "dtype": dtype}
        found, rate = _run_graph(graph, plain, facts)
    except Exception as error:  # noqa: BLE001  a converter may raise anything on a foreign model
        return f"OpenVINO cannot run it ({describe_reason(error)})"
    if not plain.judge.accepts(found, plain.model):
        return "OpenVINO's scores of a picture are further from the truth than torch's"
    return _Graph(graph, facts, rate)


def _run_graph(
    graph: Any,  # noqa: ANN401
    plain: Plain,
    facts: Mapping[str, Any],
) -> tuple[torch.Tensor, float]:
    """Its logits of the probes, and its images/s."""
    from imgcls_beam.classifying.openvino_running import OpenVinoRunner

    runner = OpenVinoRunner(_UNDECIDED, graph, **facts, share=share_cores(plain.spec))
    found = torch.from_numpy(runner.run([each.numpy() for each in plain.judge.probes.values()]))
    timed = [each.numpy() for each in _repeat(plain).values()]
    return found, _measure(functools.partial(runner.run, timed), len(timed[0]))


_UNDECIDED = EngineChoice("openvino", "")


def _repeat(plain: Plain) -> dict[str, torch.Tensor]:
    """The probes, as many times as give the images of a timed batch."""
    count = _CORE_IMAGES * share_cores(plain.spec).cores
    return {
        name: each.repeat(-(-count // len(each)), *[1] * (each.dim() - 1))[:count]
        for name, each in plain.judge.probes.items()
    }


def _take_faster(plain: Plain, key: Mapping[str, Any], found: _Graph) -> Runner:
    runner = _make_torch(plain, "")
    timed = _repeat(plain)
    images = len(next(iter(timed.values())))
    rate = _measure(lambda: runner.run(timed), images)
    if found.rate > rate:
        why = f"{found.rate:.1f} images/s alone, torch {rate:.1f}"
        return _keep_openvino(plain, key, found, why)
    why = f"{rate:.1f} images/s alone, OpenVINO {found.rate:.1f}"
    runner.choice = EngineChoice("torch", why)
    keep(KIND, key, {"choice": dataclasses.asdict(runner.choice)})
    return runner


def _make_torch(plain: Plain, why: str) -> TorchRunner:
    plain_model, plain.model = plain.model, None
    with torch.no_grad():
        model = tune(plain_model, plain.feed, plain.judge, plain.load_again)
    choice = EngineChoice("torch", why)
    return TorchRunner(choice, model, plain.feed, share_cores(plain.spec))


def _keep_openvino(plain: Plain, key: Mapping[str, Any], found: _Graph, why: str) -> Runner:
    from imgcls_beam.classifying.openvino_running import GRAPH, OpenVinoRunner

    choice = EngineChoice("openvino", why)

    def write(folder: pathlib.Path) -> None:
        import openvino

        openvino.save_model(found.graph, folder / GRAPH, compress_to_fp16=False)

    facts = {
        "choice": dataclasses.asdict(choice),
        "card": describe_card(dataclasses.replace(plain.card, engine=choice)),
        "graph": found.facts,
    }
    kept, plain.model = keep(KIND, key, facts, write), None
    if kept is not None:
        found.graph = None
    share = share_cores(plain.spec)
    runner = load_kept_runner(kept, share) if kept is not None else None
    return runner or OpenVinoRunner(choice, found.graph, **found.facts, share=share)
