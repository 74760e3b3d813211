"""`--gpu`: the workers of Dataflow, for programs that run a job there."""

import argparse
import dataclasses
from collections.abc import Sequence

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
)

from imgcls_beam.accelerators import ACCELERATORS, NO_GPU, to_worker_flags
from imgcls_beam.errors import ConfigError
from imgcls_beam.options import JobOptions

_CONTAINERS = "use_multiple_sdk_containers"


def add_worker_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what says which workers."""
    group = parser.add_argument_group("workers")
    kinds = ", ".join((NO_GPU, *ACCELERATORS))
    group.add_argument("--gpu", default=NO_GPU, metavar="G", help=f"of Dataflow's workers: {kinds}")


def apply_gpu(gpu: str, job: JobOptions, rest: Sequence[str]) -> tuple[JobOptions, list[str]]:
    """Sets a job and Beam's flags for workers with a GPU; what `rest` sets stays as it is.

    The job then asks for CUDA, so that a worker whose driver is missing fails, and does not do its
    work at the pace of its CPU.

    Raises:
        ConfigError: there is no such GPU, or the runner has no workers that could have one.
    """
    options = PipelineOptions(list(rest))
    flags = to_worker_flags(gpu, _find_given(options))
    if gpu == NO_GPU:
        return job, list(rest)
    if options.view_as(StandardOptions).runner != "DataflowRunner":
        problem = "it is for --runner=DataflowRunner; here --device=cuda takes the GPU of a machine"
        raise ConfigError("gpu", gpu, problem)
    if job.model.device == "cpu":
        raise ConfigError("gpu", gpu, "--device=cpu would leave it idle; leave one of the two out")
    model = dataclasses.replace(job.model, device="cuda")
    return dataclasses.replace(job, model=model), [*rest, *flags]


def _find_given(options: PipelineOptions) -> set[str]:
    service = options.view_as(GoogleCloudOptions).dataflow_service_options or []
    experiments = options.view_as(DebugOptions).experiments or []
    return {
        *options.get_all_options(drop_default=True),
        *(each.partition("=")[0] for each in service),
        *(_CONTAINERS for each in experiments if each.removeprefix("no_") == _CONTAINERS),
    }
