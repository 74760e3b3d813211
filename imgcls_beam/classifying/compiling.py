"""`torch.compile`, for convolutional models on a GPU. Heavy: imports torch.

Between convolutions lie norms, activations and sums that read and write a whole batch of
activations each; compiled, several are one pass over memory. Transformers have little of that which
their own kernels do not do already, so they are not compiled. It takes tens of seconds, once in
each process; torch keeps what it generated (`TORCHINDUCTOR_CACHE_DIR`), so later ones take less.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from imgcls_beam.classifying.device_running import DeviceRunner
from imgcls_beam.classifying.feeding import Tensors
from imgcls_beam.classifying.judging import Judge, answer
from imgcls_beam.classifying.torch_running import TorchRunner
from imgcls_beam.classifying.tuning import is_convolutional
from imgcls_beam.reasons import describe_reason
from imgcls_beam.scoring import EngineChoice

_IMAGES = 64
"""In the batch that is compiled, judged and timed: as a GPU has by default."""
_TIMED_S = 0.5
"""Each form is timed for about so long."""
_LEAST_RUNS = 3

_TURN = threading.Lock()
"""What torch does with a batch that it has not compiled for is said for the whole process."""

Measure = Callable[[Callable[[], object], int], float]
"""Images/s of a function that works on so many."""

Compile = Callable[[Any], Callable[..., Any]]
"""A model → the same, compiled when it is first called."""


class CompiledModel(torch.nn.Module):
    """A model that is compiled for the first batch that it is given, and those like it.

    Like it are batches of other sizes, as far as torch allows. Others, of one image or of another
    shape, run as the model was: none makes torch compile again, in the middle of a job.
    """

    def __init__(self, model: Any, compile_model: Compile) -> None:  # noqa: ANN401
        """Takes a model that is ready to predict."""
        super().__init__()
        self._plain = model
        self._compiled = compile_model(model)
        self._is_compiled = False

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        dtype: torch.dtype = self._plain.dtype
        return dtype

    def forward(self, **inputs: torch.Tensor) -> Any:  # noqa: ANN401  transformers' own class
        """What the model gives."""
        with _TURN:
            if self._is_compiled:
                with torch.compiler.set_stance("eager_on_recompile"):
                    return self._compiled(**inputs)
            for each in inputs.values():
                torch._dynamo.mark_dynamic(each, 0)
            outputs = self._compiled(**inputs)
            self._is_compiled = True
            return outputs


def compile_if_faster(
    runner: TorchRunner | DeviceRunner,
    judge: Judge,
    measure: Measure | None = None,
    compile_model: Compile = torch.compile,
) -> EngineChoice:
    """Gives a runner its model in compiled form, where that is as right, and faster.

    Args:
        runner: of a model that is not packed; it is left as it was where nothing is gained.
        judge: has the model's plain answers.
        measure: times both forms; None for the clock.
        compile_model: is given the model.

    Returns:
        Which engine runs it now, and why.
    """
    plain = runner.model
    if isinstance(runner, TorchRunner):
        return EngineChoice("torch", "torch.compile is for GPUs here")
    if not is_convolutional(plain):
        return EngineChoice("torch", "torch.compile is for convolutional models here")
    batch = {name: _repeat(each) for name, each in judge.probes.items()}
    compiled = CompiledModel(plain, compile_model)
    start_s = time.perf_counter()
    try:
        with torch.inference_mode():
            found = answer(compiled, runner.feed, batch)
    except Exception as error:  # noqa: BLE001  without Triton or a compiler torch raises anything
        inner = getattr(error, "inner_exception", error)
        return EngineChoice("torch", f"torch.compile cannot run it ({describe_reason(inner)})")
    took_s = time.perf_counter() - start_s
    if not judge.accepts(found[: len(next(iter(judge.probes.values())))], plain):
        why = "compiled, its scores of a picture are further from the truth"
        return EngineChoice("torch", why)
    return _take_faster(runner, compiled, measure or _measure, batch, took_s)


def _repeat(probes: torch.Tensor) -> torch.Tensor:
    """Probes (N, …), again and again, for a batch."""
    return probes[torch.arange(_IMAGES) % len(probes)]


def _take_faster(
    runner: DeviceRunner, compiled: CompiledModel, measure: Measure, batch: Tensors, took_s: float
) -> EngineChoice:
    names = list(batch)
    rows = zip(*(each.numpy() for each in batch.values()), strict=True)
    sent = runner.stack([dict(zip(names, row, strict=True)) for row in rows])
    rates = {}
    plain = runner.model
    for name, form in (("torch", plain), ("torch.compile", compiled)):
        runner.use(form)
        rates[name] = measure(lambda: runner.run(sent), _IMAGES)
    pair = f"{rates['torch.compile']:.1f} images/s alone after {took_s:.0f} s of compiling"
    why = f"{pair}, plain {rates['torch']:.1f}"
    if rates["torch.compile"] > rates["torch"]:
        return EngineChoice("torch.compile", why)
    runner.use(plain)
    return EngineChoice("torch", why)


def _measure(run: Callable[[], object], images: int) -> float:
    """At best of three or more runs, the first of which makes what is made once."""
    took_s: list[float] = []
    while sum(took_s) < _TIMED_S or len(took_s) < _LEAST_RUNS:
        before_s = time.perf_counter()
        run()
        took_s.append(time.perf_counter() - before_s)
    return images / min(took_s)
