"""The ways that are compared: our job, the peers, and loops that are written by hand.

A way is one line here: what it is called, what it is compared with, and its flags.
"""

import dataclasses
import importlib.util
import pathlib
import sys
from typing import Literal

from bench.peers.engines import find_prism
from bench.peers.rows import TOP_K
from bench.runs import ROOT, name_profile

Kind = Literal["job", "peer", "loop"]

PIPELINE_SIZES = (1, 8, 16)
"""Batch sizes of which transformers' pipeline gets the one it is fastest with."""
_BEST = "BEST"
_BFLOAT16 = ("avx512_bf16", "amx_bf16")


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a way finds what it works on.

    Attributes:
        images: a folder, or its URL for the job.
        model: folder of the model.
        inputs: what the loops know of it, see `loop_inputs`.
        best_size: batch size of transformers' pipeline.
        cache: the job's cache of models.
    """

    images: str
    model: pathlib.Path
    inputs: pathlib.Path
    best_size: int
    cache: pathlib.Path


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """One way from a folder of images to rows.

    Attributes:
        name: unique.
        kind: whose it is.
        flags: of its program.
        engine: what it is compared with: only rates of one engine, or against the best of all.
            `bfloat16` and `scaled` give other scores, and are compared among themselves.
        peer: for a peer its module in `bench.peers`, and what its environment is called; without an
            environment it runs in this one.
        is_clocked: whether the job notes where its time goes, see `profiling`.
    """

    name: str
    kind: Kind
    flags: tuple[str, ...] = ()
    engine: str = "torch"
    peer: tuple[str, str] = ("", "")
    is_clocked: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether its scores are to be those of the reference."""
        return self.engine not in ("bfloat16", "scaled")

    def find_obstacle(self) -> str | None:
        """Why it cannot be run here; None where it can."""
        if not self._find_python().exists():
            return f"no .venv-peers-{self.peer[1]}: `make bench` makes it"
        if "openvino" in "".join(self.flags) and importlib.util.find_spec("openvino") is None:
            return "OpenVINO is not installed"
        if "--engine=prism" in self.flags and find_prism() is None:
            return "no Prism: `make servers` builds it"
        if self.engine == "bfloat16" and not has_bfloat16():
            return "this processor only emulates bfloat16"
        return None

    def make_command(self, place: Place, output: pathlib.Path) -> list[str]:
        """The program and its arguments."""
        if self.kind == "job":
            clocks = ("bench.profiling", str(name_profile(output)))
            program = clocks if self.is_clocked else ("pipelines",)
            return [sys.executable, "-m", *program, *_job_arguments(place, output), *self.flags]
        flags = [str(place.best_size) if each == _BEST else each for each in self.flags]
        first = str(place.inputs) if self.kind == "loop" else place.images
        second = place.images if self.kind == "loop" else str(place.model)
        module = "bench.ceilings" if self.kind == "loop" else f"bench.peers.{self.peer[0]}"
        return [str(self._find_python()), "-m", module, first, second, str(output), *flags]

    def _find_python(self) -> pathlib.Path:
        if not self.peer[1]:
            return pathlib.Path(sys.executable)
        return ROOT / f".venv-peers-{self.peer[1]}" / "bin" / "python"


def _job_arguments(place: Place, output: pathlib.Path) -> list[str]:
    return [
        "classify",
        *(f"--input={place.images}", f"--model={place.model}", f"--output={output}"),
        *(f"--top_k={TOP_K}", "--device=cpu"),
    ]


def has_bfloat16() -> bool:
    """Whether the processor itself multiplies bfloat16."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    return cpuinfo.exists() and any(name in cpuinfo.read_text() for name in _BFLOAT16)


def _pipeline(name: str, *flags: str) -> Way:
    return Way(name, "peer", flags, peer=("transformers_pipeline", "transformers"))


def _loop(name: str, engine: str, *flags: str) -> Way:
    return Way(f"loop: {name}", "loop", flags, engine)


PIPELINE = _pipeline("transformers pipeline, at its best batch", "--batch_size", _BEST)
PIPELINE_HERE = dataclasses.replace(PIPELINE, peer=(PIPELINE.peer[0], ""))
"""The same, where the job is installed: in `--quick` nothing is installed for it."""
JOB = Way("job", "job", engine="auto")
"""With the engine that it takes by itself: it is held beside the best of all."""
CLOCKED_JOB = Way("job, with clocks", "job", is_clocked=True)
_TORCH_JOB = Way("job, torch", "job", ("--engine=torch",))
_OPENVINO_JOB = Way("job, OpenVINO", "job", ("--engine=openvino",), "openvino")
JOBS = (JOB, _TORCH_JOB, _OPENVINO_JOB)
"""Of every model."""
BFLOAT16_JOB = Way(
    "job, OpenVINO bfloat16", "job", ("--engine=openvino", "--dtype=bfloat16"), "bfloat16"
)
LARGE_JOBS = (
    _OPENVINO_JOB,
    Way("job, OpenVINO, fast", "job", ("--engine=openvino", "--preprocess=fast"), "scaled"),
)
"""Of photographs of 12 megapixels."""
PEERS = (
    _pipeline("transformers pipeline, one by one"),
    PIPELINE,
    Way("Beam RunInference, PyTorch handler", "peer", peer=("beam_handler", "beam")),
    Way(
        *("Ray Data, two actors", "peer", ("--batch_size", "16", "--workers", "2")),
        peer=("ray_data", "ray"),
    ),
    Way("Daft", "peer", peer=("daft_data", "daft")),
)
STREAMS = (
    _loop("eager, a stream a core", "torch", "--engine=eager", "--streams=0"),
    _loop("packed, a stream a core", "torch", "--engine=packed", "--streams=0"),
    _loop("OpenVINO, a stream a core", "openvino", "--engine=openvino", "--streams=0"),
)
ONE_STREAM = (
    _loop("packed, one stream", "torch", "--engine=packed"),
    _loop("OpenVINO, one stream", "openvino", "--engine=openvino"),
)
BFLOAT16 = (
    BFLOAT16_JOB,
    _loop("OpenVINO bfloat16", "bfloat16", "--engine=openvino-bf16", "--streams=0"),
)
SCALED = (_loop("OpenVINO, JPEG scaled", "scaled", "--engine=openvino", "--streams=0", "--scaled"),)
WORKERS = (
    JOB,
    Way(
        "job, two worker processes",
        "job",
        ("--direct_num_workers=2", "--direct_running_mode=multi_processing"),
    ),
)


def _on_engine(name: str, *flags: str) -> Way:
    return Way(f"job on {name}", "peer", flags, "auto", ("engines", ""))


ENGINES = (
    JOB,
    _on_engine("Prism", "--engine=prism"),
    _on_engine("one external worker", "--engine=workers", "--workers=1"),
    _on_engine("two external workers", "--engine=workers", "--workers=2"),
    _on_engine("two of one thread", "--engine=workers", "--workers=2", "--threads=1"),
    _on_engine("four external workers", "--engine=workers", "--workers=4"),
    _on_engine("four of one thread", "--engine=workers", "--workers=4", "--threads=1"),
)
"""FnApiRunner, Prism, and worker processes that are not told of each other."""
