"""Images/s of preparing, copying, the forward pass and all of it, by dtype and batch size.

::

    python -m bench.gpu
    python -m bench.gpu --model=vit-192 --dtype=bfloat16 --batch_size=64 --batch_size=256

Needs torch, transformers, Pillow and NumPy, and neither Beam nor a network. `copy` and `bare` are
times of the device, taken by its own events: uint8 pixels to the device, and the bare model on
floats that lie there, convolutional ones channels-last. By the wall clock: `one` is our classifier
from uint8 arrays to ranked labels, batch by batch; `ours` the same by as many threads as a worker
of Dataflow has, so that batches are under way while others are ranked; `whole` is from encoded
images, with all cores preparing ahead. The ratios are those to `bare`. Below stand the best batch
of each type, and what timm publishes of the same architecture on other GPUs.
"""

import argparse
import concurrent.futures
import dataclasses
import functools
import itertools
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
import transformers

from bench import models
from bench.images import make_images
from bench.measuring import repeat_rate
from bench.timm_rates import read_published
from imgcls_beam.accelerators import HARNESS_THREADS
from imgcls_beam.classifying import Classifier, ClassifierSpec, load_classifier
from imgcls_beam.classifying.tuning import is_convolutional
from imgcls_beam.elements import EncodedImage, ImageRef, PixelArray
from imgcls_beam.health import Health
from imgcls_beam.model_options import Device, Dtype, Engine
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions
from imgcls_beam.predicting import predict_images
from imgcls_beam.preparing import (
    Preparer,
    draw_probes,
    load_preparer,
)
from imgcls_beam.sandbox import box_pool, prepare_image
from imgcls_beam.scoring import ModelSource, Scoring

_COLUMNS = ("dtype", "batch", "copy", "bare", "one", "ours", "whole", "ours/bare", "whole/bare")
_WIDTH = 10
_DTYPES: tuple[Dtype, ...] = ("bfloat16", "float16", "float32")
_BATCH_SIZES = (32, 64, 128, 256)
_TOP_K = 5


class Rates(NamedTuple):
    """Images/s; see above."""

    copy: float
    bare: float
    one: float
    ours: float
    whole: float


@dataclasses.dataclass(frozen=True, slots=True)
class Bench:
    """What is measured.

    Attributes:
        source: the model.
        preparer: bytes to pixels.
        encoded: the images, in memory, as often as they are classified in one go: a batch that is
            the first or the last of a go waits alone.
        prepared: their uint8 pixels.
        device: `cuda`; `cpu` tries the benchmark itself.
        at_least_s: each figure is repeated for so long.
    """

    source: ModelSource
    preparer: Preparer
    encoded: Sequence[EncodedImage]
    prepared: Sequence[PixelArray]
    device: Device
    at_least_s: float

    def rate(self, function: Callable[[], object]) -> float:
        """Images/s of a function that works on all images, by the wall clock."""
        function()  # what is chosen, compiled or allocated once
        return repeat_rate(function, len(self.encoded), self.at_least_s)

    def device_rate(self, function: Callable[[], object]) -> float:
        """Images/s of a function that works on all images, by the device's clock."""
        if self.device == "cpu":
            return self.rate(function)
        function()
        events: list[Any] = [torch.cuda.Event(enable_timing=True) for _ in range(2)]  # type: ignore[no-untyped-call]
        start, end = events
        stop_s, calls = time.perf_counter() + self.at_least_s, 0
        start.record()
        while calls == 0 or time.perf_counter() < stop_s:
            function()
            calls += 1
        end.record()
        torch.cuda.synchronize()
        elapsed_ms: float = start.elapsed_time(end)
        return calls * len(self.encoded) / elapsed_ms * 1e3

    def prepare(self) -> Iterator[Any]:
        """Decodes and resizes all images, on all cores."""
        prepare = functools.partial(prepare_image, preparer=self.preparer, options=DecodeOptions())
        return box_pool().map(prepare, self.encoded)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 where there is no such device."""
    flags = _make_parser().parse_args(argv)
    if flags.device == "cuda" and not torch.cuda.is_available():
        print("bench.gpu: torch finds no CUDA device here", file=sys.stderr)  # noqa: T201
        return 1
    with tempfile.TemporaryDirectory(prefix="imgcls-bench-") as folder:
        for line in _measure(_make_bench(flags, pathlib.Path(folder)), flags):
            print(line, flush=True)  # noqa: T201
    return 0


def _measure(bench: Bench, flags: argparse.Namespace) -> Iterator[str]:
    device = torch.cuda.get_device_name() if bench.device == "cuda" else "CPU"
    pictures = f"{flags.images} images, {flags.rounds} times"
    yield f"{device}, torch {torch.__version__}, {flags.model}, {pictures}"
    yield f"prepare, on all cores: {bench.rate(lambda: list(bench.prepare())):,.0f} images/s"
    yield _join(_COLUMNS)
    sentences = []
    dtypes: Sequence[Dtype] = flags.dtype or _DTYPES
    for dtype in dtypes:
        spec = ClassifierSpec(
            bench.source, bench.preparer.affine, bench.device, dtype, flags.engine
        )
        classifier = load_classifier(spec, functools.partial(draw_probes, bench.preparer))
        taken = {}
        for size in flags.batch_size or _BATCH_SIZES:
            taken[size] = rates = _take_rates(bench, classifier, dtype, size)
            ratios = [f"{each / rates.bare:.2f}" for each in (rates.ours, rates.whole)]
            yield _join([dtype, str(size), *(f"{rate:,.0f}" for rate in rates), *ratios])
        sentences.append(_sum_up(dtype, taken, classifier))
    yield from sentences
    yield from _describe_published(flags.model)


def _join(cells: Sequence[str]) -> str:
    return "  ".join(f"{each:>{_WIDTH}}" for each in cells)


def _sum_up(dtype: Dtype, taken: dict[int, Rates], classifier: Classifier) -> str:
    """Each at its best batch: the bare model, ours, and the whole."""
    best = {name: max(taken, key=lambda size: getattr(taken[size], name)) for name in Rates._fields}
    bare = taken[best["bare"]].bare
    parts = [f"bare {bare:,.0f} images/s (batch {best['bare']})"]
    for name in ("ours", "whole"):
        rate = getattr(taken[best[name]], name)
        parts.append(f"{name} {rate:,.0f} (batch {best[name]}, {rate / bare:.0%})")
    engine = classifier.describe().engine
    why = f"; {engine.name}: {engine.why}" if engine else ""
    return f"best in {dtype}: {', '.join(parts)}{why}"


def _describe_published(model: str) -> Iterator[str]:
    for each in read_published(model):
        where = f"{each.file} at {each.commit[:12]}"
        yield (
            f"timm publishes {each.images_per_s:,.0f} images/s for {each.timm_model} on an "
            f"{each.gpu} (forward alone, amp, batch {each.batch_size}; {where})"
        )


def _take_rates(bench: Bench, classifier: Classifier, dtype: Dtype, size: int) -> Rates:
    prepared = list(_batched(bench.prepared, size))
    stacked = [
        torch.from_numpy(np.stack([each.inputs["pixel_values"] for each in batch]))
        for batch in prepared
    ]
    predict = functools.partial(_predict, bench, classifier)
    with concurrent.futures.ThreadPoolExecutor(HARNESS_THREADS) as threads:
        return Rates(
            copy=bench.device_rate(lambda: [each.to(bench.device) for each in stacked]),
            bare=bench.device_rate(_make_bare_forward(bench, stacked, dtype)),
            one=bench.rate(lambda: [predict(batch) for batch in prepared]),
            ours=bench.rate(lambda: list(threads.map(predict, prepared))),
            whole=bench.rate(lambda: _run_whole(bench, predict, threads, size)),
        )


def _make_bare_forward(
    bench: Bench, stacked: Sequence[torch.Tensor], dtype: Dtype
) -> Callable[[], object]:
    model: Any = transformers.AutoModelForImageClassification.from_pretrained(
        bench.source.location, dtype=dtype
    )
    model = model.eval().to(bench.device)
    if is_convolutional(model):
        model = model.to(memory_format=torch.channels_last)
    floats = [
        (each.to(bench.device, torch.float32) / 127.5 - 1).permute(0, 3, 1, 2).to(model.dtype)
        for each in stacked
    ]

    def forward() -> None:
        with torch.inference_mode():
            for each in floats:
                model(pixel_values=each)

    return forward


def _predict(bench: Bench, classifier: Classifier, batch: Sequence[PixelArray]) -> None:
    scoring = Scoring(bench.source, _TOP_K)
    predict_images(batch, classifier, scoring, Health(classifier, lambda: [batch[0].inputs]))


def _run_whole(
    bench: Bench,
    predict: Callable[[Sequence[PixelArray]], None],
    threads: concurrent.futures.Executor,
    size: int,
) -> None:
    asked = [threads.submit(predict, batch) for batch in _batched(bench.prepare(), size)]
    for each in asked:
        each.result()


def _make_bench(flags: argparse.Namespace, folder: pathlib.Path) -> Bench:
    source = resolve_model(str(models.make_model(folder / "model", flags.model)), None)
    preparer = load_preparer(source)
    paths = make_images(folder / "images", flags.images)
    encoded = [EncodedImage(ImageRef(path.as_uri()), path.read_bytes()) for path in paths]
    bench = Bench(source, preparer, encoded, (), flags.device, flags.at_least_s)
    prepared = list(bench.prepare()) * flags.rounds
    return dataclasses.replace(bench, encoded=encoded * flags.rounds, prepared=prepared)


def _batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    left = iter(items)
    while batch := list(itertools.islice(left, size)):
        yield batch


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    add = parser.add_argument
    add("--model", default="vit-base", choices=models.MADE)
    add("--images", type=int, default=512, help="how many pictures (512)")
    add("--rounds", type=int, default=4, help="how often each is classified in one go (4)")
    add("--dtype", action="append", choices=_DTYPES, help="may be repeated (all)")
    add("--batch_size", action="append", type=int, help="may be repeated (32, 64, 128, 256)")
    add("--device", default="cuda", choices=("cuda", "cpu"))
    add("--engine", default="auto", choices=get_args(Engine))
    add("--at_least_s", type=float, default=2.0, help="repeat each figure for so long (2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
