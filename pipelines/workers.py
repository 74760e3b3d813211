"""`--gpu`: the workers of Dataflow, for programs that run a job there."""

import argparse
import dataclasses
from collections.abc import Sequence

from imgcls_beam.accelerators import (
    ACCELERATORS,
    GPU_STAGES,
    NO_GPU,
    check_gpu,
    to_hint,
    to_worker_flags,
)
from imgcls_beam.errors import ConfigError
from imgcls_beam.options import JobOptions

from .beam_flags import list_given, parse_beam
from .runners import find_runner

_CONTAINERS = "use_multiple_sdk_containers"


def add_worker_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what says which workers."""
    group = parser.add_argument_group("workers")
    kinds = ", ".join((NO_GPU, *ACCELERATORS))
    add = group.add_argument
    add("--gpu", default=NO_GPU, metavar="G", help=f"of Dataflow's workers: {kinds}")
    stages = "all workers have it, or those that classify"
    add("--gpu_stages", default=GPU_STAGES[0], metavar="W", help=f"{stages} (all, classify)")


def apply_gpu(
    flags: argparse.Namespace, job: JobOptions, rest: Sequence[str]
) -> tuple[JobOptions, list[str]]:
    """Sets a job and Beam's flags for workers with a GPU; what `rest` sets stays as it is.

    The job then asks for CUDA, so that a worker whose driver is missing fails, and does not do its
    work at the pace of its CPU.

    Raises:
        ConfigError: there is no such GPU, or the runner has no workers that could have one.
    """
    gpu, stages = flags.gpu, flags.gpu_stages
    check_gpu(gpu, stages)
    if gpu == NO_GPU:
        return job, list(rest)
    beam = parse_beam(rest)
    worker_flags = to_worker_flags(gpu, stages, _find_given(beam))
    if find_runner(beam.runner) != "DataflowRunner":
        problem = "it is for --runner=DataflowRunner; here --device=cuda takes the GPU of a machine"
        raise ConfigError("gpu", gpu, problem)
    if job.model.device == "cpu":
        raise ConfigError("gpu", gpu, "--device=cpu would leave it idle; leave one of the two out")
    model = dataclasses.replace(job.model, device="cuda")
    accelerator = None if stages == GPU_STAGES[0] else to_hint(gpu)
    return dataclasses.replace(job, model=model, accelerator=accelerator), [*rest, *worker_flags]


def _find_given(beam: argparse.Namespace) -> set[str]:
    service = _split(beam.dataflow_service_options)
    return {
        *list_given(beam),
        *(each.partition("=")[0] for each in service),
        *(
            _CONTAINERS
            for each in _split(beam.experiments)
            if each.removeprefix("no_") == _CONTAINERS
        ),
    }


def _split(values: Sequence[str] | None) -> list[str]:
    """The values of a flag that may be given again, and several at once between commas."""
    return [each.strip() for value in values or () for each in value.split(",")]
