"""Loops written by hand for one model on this machine, without Beam: what the job is held to.

::

    python -m bench.ceilings INPUTS IMAGES OUTPUT --engine=openvino --streams=0

Threads decode ahead, and each stream takes a whole batch: one stream on all cores, or one on each
core. No limits, no retries, no row for an image that fails, and the model is known beforehand (see
`loop_inputs`): what is left is the least that has to be done.
"""

import argparse
import collections
import concurrent.futures
import functools
import itertools
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.loop_inputs import BATCH_SIZE, LoopInputs, load_inputs
from bench.peers.rows import TOP_K, Row, write_rows
from imgcls_beam.preparing.geometry import Resize

ENGINES = ("eager", "packed", "openvino", "openvino-bf16")

_AHEAD_BATCHES = 3

_Pixels = npt.NDArray[np.uint8]
_Predict = Callable[[_Pixels], npt.NDArray[np.float32]]
_Batch = tuple[Sequence[pathlib.Path], _Pixels]


def main(argv: Sequence[str] | None = None) -> None:
    """Classifies a folder."""
    flags = _make_parser().parse_args(argv)
    inputs = load_inputs(flags.inputs)
    prepare = functools.partial(_prepare_scaled if flags.scaled else _prepare, inputs)
    cores = len(os.sched_getaffinity(0))
    flags.streams = flags.streams or cores
    with concurrent.futures.ThreadPoolExecutor(cores) as decoders:
        # Threads decode from here on, while the libraries are imported and the model is loaded.
        batches = _Batches(sorted(flags.images.iterdir()), prepare, decoders)
        load = _load_openvino if flags.engine.startswith("openvino") else _load_torch
        make_predict = load(inputs, flags, max(1, cores // flags.streams))
        with concurrent.futures.ThreadPoolExecutor(flags.streams) as streams:
            classify = functools.partial(_classify, batches, make_predict, inputs.labels)
            found = [streams.submit(classify) for _ in range(flags.streams)]
            rows = itertools.chain.from_iterable(each.result() for each in found)
            write_rows(rows, flags.output)


class _Batches:
    """Batches of a folder, decoded ahead; streams take them in turn."""

    def __init__(
        self,
        paths: Sequence[pathlib.Path],
        prepare: Callable[[pathlib.Path], _Pixels],
        decoders: concurrent.futures.Executor,
    ) -> None:
        self._starts = iter(range(0, len(paths), BATCH_SIZE))
        self._paths, self._prepare, self._decoders = paths, prepare, decoders
        self._lock = threading.Lock()
        self._ahead: collections.deque[Any] = collections.deque()
        for _ in range(_AHEAD_BATCHES):
            self._submit()

    def take(self) -> _Batch | None:
        """The next batch; None at the end."""
        with self._lock:
            if not self._ahead:
                return None
            paths, futures = self._ahead.popleft()
            self._submit()
        return paths, np.stack([each.result() for each in futures])

    def _submit(self) -> None:
        start = next(self._starts, None)
        if start is not None:
            paths = self._paths[start : start + BATCH_SIZE]
            futures = [self._decoders.submit(self._prepare, path) for path in paths]
            self._ahead.append((paths, futures))


def _classify(
    batches: _Batches, make_predict: Callable[[], _Predict], labels: tuple[str, ...]
) -> list[Row]:
    """What a stream does until there is no more."""
    predict = make_predict()
    rows: list[Row] = []
    for paths, pixels in iter(batches.take, None):
        answers = _rank(predict(pixels), labels)
        done_at = time.time()
        rows.extend(
            {"image_uri": str(path), "predictions": answer, "done_at": done_at}
            for path, answer in zip(paths, answers, strict=True)
        )
    return rows


def _rank(
    logits: npt.NDArray[np.float32], labels: tuple[str, ...]
) -> Iterator[list[dict[str, Any]]]:
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    for row in scores:
        best = np.argsort(-row, kind="stable")[:TOP_K]
        yield [{"label": labels[i], "score": float(row[i])} for i in best]


def _prepare(inputs: LoopInputs, path: pathlib.Path) -> _Pixels:
    """The job's own preparation, but for its checks."""
    with Image.open(path) as image:
        return inputs.geometry.apply(image.convert("RGB"))


def _prepare_scaled(inputs: LoopInputs, path: pathlib.Path) -> _Pixels:
    """JPEG is decoded at the smallest scale that is not below twice the size it is resized to."""
    first = inputs.geometry.steps[0]
    with Image.open(path) as image:
        if isinstance(first, Resize):
            height_px, width_px = first.rule((image.height, image.width))
            image.draft("RGB", (2 * width_px, 2 * height_px))
        return inputs.geometry.apply(image.convert("RGB"))


def _load_torch(
    inputs: LoopInputs, flags: argparse.Namespace, threads: int
) -> Callable[[], _Predict]:
    """The library's own model, in float32; each stream calls it with threads of its own."""
    import torch

    from bench.torch_models import FromPixels
    from imgcls_beam.memory import keep_freed

    keep_freed()  # as the job does
    model = FromPixels(inputs.model, inputs.affine)
    if flags.engine == "packed":
        from imgcls_beam.classifying.prepacking import prepack

        example = inputs.geometry.apply(Image.new("RGB", (640, 480)))
        with torch.inference_mode():
            prepack(model, {"pixels": torch.from_numpy(example[None].copy())})

    def predict(pixels: _Pixels) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            logits: npt.NDArray[np.float32] = model(torch.from_numpy(pixels)).numpy()
            return logits

    def make_predict() -> _Predict:
        torch.set_num_threads(threads)  # of the thread that calls
        return predict

    return make_predict


def _load_openvino(
    inputs: LoopInputs, flags: argparse.Namespace, threads: int
) -> Callable[[], _Predict]:
    """The model compiled for this machine; what was compiled is kept beside it."""
    import openvino

    if inputs.openvino is None:
        raise SystemExit("bench.ceilings: OpenVINO was not there when the model was converted")
    settings = {
        "NUM_STREAMS": flags.streams,
        "INFERENCE_NUM_THREADS": threads * flags.streams,
        "INFERENCE_PRECISION_HINT": "bf16" if flags.engine == "openvino-bf16" else "f32",
        "CACHE_DIR": str(inputs.openvino.parent / "compiled"),
    }
    openvino.Tensor(np.zeros(1, np.uint8))  # see `find_core` of the job's own runner
    compiled = openvino.Core().compile_model(inputs.openvino, "CPU", settings)

    def make_predict() -> _Predict:
        return functools.partial(_infer, compiled.create_infer_request())

    return make_predict


def _infer(request: Any, pixels: _Pixels) -> npt.NDArray[np.float32]:  # noqa: ANN401
    """One batch; the form is made for whole ones, so the last is filled up."""
    missing = BATCH_SIZE - len(pixels)
    filled = np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else pixels
    found: npt.NDArray[np.float32] = request.infer({0: filled}, share_inputs=True)[0]
    return found[: len(pixels)]


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.ceilings")
    for name in ("inputs", "images", "output"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--engine", choices=ENGINES, default="eager")
    parser.add_argument("--streams", type=int, default=1, help="0: one for each core")
    parser.add_argument("--scaled", action="store_true", help="decode JPEG at 1/2, 1/4 or 1/8")
    return parser


if __name__ == "__main__":
    main()
