"""Torch or OpenVINO: converts a model, compares the scores of both, and times both. Heavy.

OpenVINO's answers to the probes are held beside the plain ones, as those of every other fast way,
see `judging`. What was found is kept, see `known`.
"""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from imgcls_beam.classifying.compiling import compile_if_faster
from imgcls_beam.classifying.core_share import CoreShare, share_cores
from imgcls_beam.classifying.device_running import DeviceRunner
from imgcls_beam.classifying.feeding import Feed
from imgcls_beam.classifying.judging import Judge
from imgcls_beam.classifying.known import KIND, describe_card, load_kept_runner
from imgcls_beam.classifying.protocol import ClassifierCard, ClassifierSpec
from imgcls_beam.classifying.running import Runner
from imgcls_beam.classifying.torch_running import TorchRunner, make_torch_runner
from imgcls_beam.classifying.tuning import tune
from imgcls_beam.errors import ModelError
from imgcls_beam.models.keeping import Kept, keep
from imgcls_beam.reasons import describe_reason
from imgcls_beam.scoring import EngineChoice

_TIMED_S = 0.5
"""An engine is timed for about so long."""
_TIMED_IMAGES = 4
"""And with a batch of so many images: about what a core gets of one."""
_LEAD = 1.05
"""Torch has to be faster by so much: it starts seconds later, and takes most of a gigabyte more."""


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


def decide(plain: Plain, key: Mapping[str, Any]) -> EngineChoice:
    """Keeps which engine is faster, and OpenVINO's graph where it is that one.

    Both are timed on one core, by the time that the processor gives this process: what others do
    on the machine meanwhile has little say in it.

    Args:
        plain: of a spec with one thread; not to be used any more afterwards.
        key: under which it is kept.
    """
    found = _try_openvino(plain)
    if isinstance(found, str):
        return _keep_torch(key, found)
    batch = _repeat(plain)
    arrays = [each.numpy() for each in batch.values()]
    openvino_rate = _measure(functools.partial(found.runner.run, arrays))
    found.runner = None
    runner = make_torch(plain, "")
    assert isinstance(runner, TorchRunner)  # OpenVINO comes into question on the CPU only
    torch_rate = _measure(functools.partial(runner.run, batch))
    if openvino_rate * _LEAD > torch_rate:
        why = f"{openvino_rate:.1f} images/s a core alone, torch {torch_rate:.1f}"
        return _keep_openvino(plain, key, found, why)[0]
    return _keep_torch(key, f"{torch_rate:.1f} images/s a core alone, OpenVINO {openvino_rate:.1f}")


def convert_asked(plain: Plain, key: Mapping[str, Any]) -> Runner:
    """OpenVINO's runner of a model, kept for later starts; whether it is faster is not asked.

    Raises:
        ModelError: it cannot be converted, or would have other scores.
    """
    found = _try_openvino(plain)
    if isinstance(found, str):
        raise ModelError(f"{plain.spec.source.model_id}: {found}; give --engine=torch")
    found.runner = None
    choice, kept = _keep_openvino(plain, key, found, "asked for")
    share = share_cores(plain.spec)
    runner = load_kept_runner(kept, share) if kept is not None else None
    return runner or _compile(found, share, choice)


def make_torch(plain: Plain, why: str) -> TorchRunner | DeviceRunner:
    """Torch's runner of a model, in the fastest form that says the same."""
    plain_model, plain.model = plain.model, None
    with torch.no_grad():
        model = tune(plain_model, plain.feed, plain.judge, plain.load_again)
    choice = EngineChoice("torch", why)
    runner = make_torch_runner(choice, model, plain.feed, share_cores(plain.spec))
    if plain.spec.engine == "torch.compile":
        runner.choice = compile_if_faster(runner, plain.judge)
    return runner


@dataclasses.dataclass
class _Graph:
    """What OpenVINO made of a model. Each form is taken out where it is not used any more.

    Attributes:
        graph: before it is compiled.
        facts: of it, as `OpenVinoRunner` takes them.
        runner: of the compiled graph.
    """

    graph: Any
    facts: Mapping[str, Any]
    runner: Any = None


def _try_openvino(plain: Plain) -> _Graph | str:
    """Converts and judges; gives a sentence where that is not to be used."""
    from imgcls_beam.classifying.converting import convert

    probes = plain.judge.probes
    shapes = {name: list(each.shape[1:]) for name, each in probes.items()}
    dtype = str(plain.model.dtype).removeprefix("torch.")
    model = plain.model if dtype == "float32" else plain.load_again().float()
    try:
        found = _Graph(convert(model, plain.feed, probes), {"shapes": shapes, "dtype": dtype})
        found.runner = _compile(found, share_cores(plain.spec), EngineChoice("openvino", ""))
        logits = torch.from_numpy(found.runner.run([each.numpy() for each in probes.values()]))
    except Exception as error:  # noqa: BLE001  a converter may raise anything on a foreign model
        return f"OpenVINO cannot run it ({describe_reason(error)})"
    if not plain.judge.accepts(logits, plain.model):
        return "OpenVINO's scores of a picture are further from the truth than torch's"
    return found


def _compile(found: _Graph, share: CoreShare, choice: EngineChoice) -> Runner:
    from imgcls_beam.classifying.openvino_running import OpenVinoRunner

    return OpenVinoRunner(choice, found.graph, **found.facts, share=share)


def _repeat(plain: Plain) -> dict[str, torch.Tensor]:
    """The probes, as many times as give the images of a timed batch."""
    return {
        name: each.repeat(-(-_TIMED_IMAGES // len(each)), *[1] * (each.dim() - 1))[:_TIMED_IMAGES]
        for name, each in plain.judge.probes.items()
    }


def _measure(run: Callable[[], object], images: int = _TIMED_IMAGES) -> float:
    """Images for each second of processor time, at best of two or more runs with so many.

    The first makes what is made once, which is little of a run that takes long by itself.
    """
    took_s: list[float] = []
    while sum(took_s) < _TIMED_S or (len(took_s) < 2 and took_s[0] < 4 * _TIMED_S):
        before_s = time.process_time()
        run()
        took_s.append(time.process_time() - before_s)
    return images / min(took_s)


def _keep_torch(key: Mapping[str, Any], why: str) -> EngineChoice:
    choice = EngineChoice("torch", why)
    keep(KIND, key, {"choice": dataclasses.asdict(choice)})
    return choice


def _keep_openvino(
    plain: Plain, key: Mapping[str, Any], found: _Graph, why: str
) -> tuple[EngineChoice, Kept | None]:
    """Keeps the graph, which is taken out then; nothing is kept where the cache is not writable."""
    from imgcls_beam.classifying.openvino_running import GRAPH

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
    return choice, kept
