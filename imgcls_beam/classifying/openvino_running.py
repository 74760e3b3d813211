"""A model run by OpenVINO on the CPU. Heavy: imports openvino; torch is not needed."""

import functools
import pathlib
from collections.abc import Mapping, Sequence
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
    """A graph for inputs of one shape and any number of images; see `Runner`.

    It has a stream for each core, and a batch is split over as many as this process has now.

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
            graph: its inputs are those of `shapes`, in their order; or the file that holds it.
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
        self._requests = [self._compiled.create_infer_request() for _ in range(share.cores)]
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
        """Logits, float32 (N, C)."""
        count = min(len(stacked[0]), len(self._requests), self._share.count())
        parts = zip(*(np.array_split(each, count) for each in stacked), strict=True)
        used: list[Any] = []
        for request, part in zip(self._requests, parts, strict=False):
            request.start_async(list(part), share_inputs=True)
            used.append(request)
        for request in used:
            request.wait()
        found = [request.get_output_tensor(0).data for request in used]
        logits: Logits = np.concatenate(found).astype(np.float32, copy=False)
        return logits
