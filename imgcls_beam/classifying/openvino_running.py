"""A model run by OpenVINO on the CPU. Heavy: imports openvino; torch is not needed."""

import collections
import contextlib
import functools
import pathlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import openvino

from imgcls_beam.classifying.core_share import CoreShare
from imgcls_beam.classifying.protocol import Logits
from imgcls_beam.elements import ModelInputs, Pixels
from imgcls_beam.scoring import EngineChoice

Shapes = Mapping[str, Sequence[int]]
"""Of each input of one image, by its name, in the order of the graph's inputs."""

GRAPH = "model.xml"
"""Its weights lie beside it, in `model.bin`."""

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


@functools.cache
def find_core() -> "openvino.Core":
    """The one of this process, which is never let go of.

    Each gives the thread that compiles first another stack for signals, and takes it back when it
    goes. Of two that went in the order in which they came, the second left a stack behind that was
    not there any more, and the next signal, such as Ctrl-C, ended the process by SIGSEGV.
    """
    # Two threads that make their first tensors at once would wait for each other for ever: one has
    # the lock of a table that is made once, and wants the interpreter's, which the other has.
    openvino.Tensor(np.zeros(1, np.uint8))
    return openvino.Core()


class OpenVinoRunner:
    """A graph for one image; see `Runner`.

    It has a stream for each core, and each stream takes the next image of a batch when it is done
    with the one before. A graph whose shapes are all known is faster than one for any number of
    images, and an image's scores do not depend on the others of its batch (ADR 42). Two batches at
    once share the streams: those that one leaves idle at its end the other uses (ADR 44).

    Attributes:
        choice: which engine, and why.
    """

    def __init__(
        self,
        choice: EngineChoice,
        graph: "openvino.Model | pathlib.Path",
        shapes: Shapes,
        dtype: str,
        share: CoreShare,
    ) -> None:
        """Compiles a graph for this processor.

        Args:
            choice: which engine, and why.
            graph: its inputs are those of `shapes`, in their order, of one image each; or the file
                that holds it.
            shapes: of one image's inputs.
            dtype: float32 or bfloat16. Said in any case: left to itself the library rounds to
                bfloat16 where the processor has it.
            share: the cores that it may use.
        """
        self.choice = choice
        self._shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self._compiled = find_core().compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _PRECISIONS[dtype],
                "INFERENCE_NUM_THREADS": share.cores,
                "NUM_STREAMS": str(share.cores),
                # A stream would be bound to a core, and the first one of each process to the same:
                # two worker processes, each on a share of one core, reached 0.59 of one process.
                "ENABLE_CPU_PINNING": False,
            },
        )
        # One more than streams: it waits inside the library, so a stream that is done goes on at
        # once, and not when Python hears of it.
        self._free = [self._compiled.create_infer_request() for _ in range(share.cores + 1)]
        self._changed = threading.Condition()
        self._share = share

    def takes(self, batch: Sequence[ModelInputs]) -> bool:
        """Whether the inputs have the shapes that the graph was made for."""
        return all(
            each.keys() == self._shapes.keys()
            and all(each[name].shape == shape for name, shape in self._shapes.items())
            for each in batch
        )

    def stack(self, batch: Sequence[ModelInputs]) -> list[Pixels]:
        """(…) each → (N, …), in the order of the graph's inputs."""
        return [np.stack([each[name] for each in batch]) for name in self._shapes]

    def run(self, stacked: list[Pixels]) -> Logits:
        """Logits, float32 (N, C).

        Raises:
            RuntimeError: the library cannot run an image; no other one of them is under way then.
        """
        running: collections.deque[Any] = collections.deque()
        try:
            return np.concatenate(list(self._run_each(stacked, running)))
        finally:
            while running:
                with contextlib.suppress(RuntimeError):
                    running[0].wait()
                self._give_back(running.popleft())

    def _run_each(
        self, stacked: list[Pixels], running: "collections.deque[Any]"
    ) -> Iterator[Logits]:
        cores = self._share.count()
        most = cores if cores < self._share.cores else cores + 1
        for index in range(len(stacked[0])):
            while (request := self._take(most, waits=not running)) is None:
                yield _finish(running[0])
                self._give_back(running.popleft())
            running.append(request)
            request.start_async([each[index : index + 1] for each in stacked], share_inputs=True)
        while running:
            yield _finish(running[0])
            self._give_back(running.popleft())

    def _take(self, most: int, *, waits: bool) -> "openvino.InferRequest | None":
        """A request, where fewer than so many are used; waits for one of another batch if asked."""
        unused = self._share.cores + 1 - most
        with self._changed:
            if waits:
                self._changed.wait_for(lambda: len(self._free) > unused)
            return self._free.pop() if len(self._free) > unused else None

    def _give_back(self, request: "openvino.InferRequest") -> None:
        with self._changed:
            self._free.append(request)
            self._changed.notify_all()


def _finish(request: "openvino.InferRequest") -> Logits:
    """Waits for an image; its logits, float32 (1, C)."""
    request.wait()
    # A copy: the memory is the request's, which takes another image next.
    logits: Logits = request.get_output_tensor(0).data.astype(np.float32, copy=True)
    return logits
