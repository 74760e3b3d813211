"""`--gpu`: what Dataflow's workers are asked to be."""

import pytest
from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    WorkerOptions,
)

from imgcls_beam.accelerators import ACCELERATORS, DISK_GB, HARNESS_THREADS
from imgcls_beam.errors import ConfigError
from pipelines.flags import parse_flags

JOB = ("--input=gs://b/in", "--output=gs://b/out")
DATAFLOW = (*JOB, "--runner=DataflowRunner")


def parse(*flags: str) -> tuple[str, PipelineOptions]:
    job, rest = parse_flags(flags)
    return job.model.device, PipelineOptions(rest)


@pytest.mark.parametrize("gpu", ACCELERATORS)
def test_a_gpu_brings_its_machine_driver_disk_threads_and_one_process(gpu: str) -> None:
    device, options = parse(*DATAFLOW, f"--gpu={gpu}")
    kind = ACCELERATORS[gpu].kind
    workers = options.view_as(WorkerOptions)
    assert device == "cuda"
    assert workers.machine_type == ACCELERATORS[gpu].machine_type
    assert workers.disk_size_gb == DISK_GB
    assert options.view_as(DebugOptions).number_of_worker_harness_threads == HARNESS_THREADS
    assert options.view_as(GoogleCloudOptions).dataflow_service_options == [
        f"worker_accelerator=type:{kind};count:1;install-nvidia-driver"
    ]
    assert options.view_as(DebugOptions).experiments == ["no_use_multiple_sdk_containers"]


def test_without_a_gpu_nothing_is_set() -> None:
    device, options = parse(*DATAFLOW)
    assert (device, options.get_all_options(drop_default=True)) == (
        "auto",
        {"runner": "DataflowRunner"},
    )


@pytest.mark.parametrize(
    ("flag", "view", "name", "value"),
    [
        ("--machine_type=g2-standard-48", WorkerOptions, "machine_type", "g2-standard-48"),
        ("--worker_machine_type=g2-standard-48", WorkerOptions, "machine_type", "g2-standard-48"),
        ("--disk_size_gb=31", WorkerOptions, "disk_size_gb", 31),
        (
            "--number_of_worker_harness_threads=9",
            DebugOptions,
            "number_of_worker_harness_threads",
            9,
        ),
        (
            "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:4;use_nvidia_mps",
            GoogleCloudOptions,
            "dataflow_service_options",
            ["worker_accelerator=type:nvidia-l4;count:4;use_nvidia_mps"],
        ),
        (
            "--experiments=use_multiple_sdk_containers",
            DebugOptions,
            "experiments",
            ["use_multiple_sdk_containers"],
        ),
    ],
)
def test_a_flag_of_beam_wins(flag: str, view: type, name: str, value: object) -> None:
    _, options = parse(*DATAFLOW, "--gpu=l4", flag)
    assert getattr(options.view_as(view), name) == value


def test_other_service_options_and_experiments_stay_beside_ours() -> None:
    others = ("--dataflow_service_options=enable_google_cloud_profiler", "--experiments=shuffle_x")
    _, options = parse(*DATAFLOW, "--gpu=t4", *others)
    service = options.view_as(GoogleCloudOptions).dataflow_service_options
    assert service[0] == "enable_google_cloud_profiler"
    assert service[1].startswith("worker_accelerator=type:nvidia-tesla-t4;")
    experiments = options.view_as(DebugOptions).experiments
    assert experiments == ["shuffle_x", "no_use_multiple_sdk_containers"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((*DATAFLOW, "--gpu=k80"), "none, t4, l4, a100, h100"),
        ((*JOB, "--gpu=l4"), "--runner=DataflowRunner"),
        ((*JOB, "--gpu=l4", "--runner=DirectRunner"), "--device=cuda"),
        ((*DATAFLOW, "--gpu=l4", "--device=cpu"), "--device=cpu would leave it idle"),
    ],
)
def test_what_cannot_be_is_refused(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_flags(flags)
