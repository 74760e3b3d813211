"""GPU workers of Dataflow: what `--gpu` sets, as Beam's own options.

Machine and accelerator names: cloud.google.com/dataflow/docs/gpu/gpu-support and
cloud.google.com/compute/docs/gpus. Hints: cloud.google.com/dataflow/docs/guides/right-fitting.
"""

import dataclasses
from collections.abc import Collection

from imgcls_beam.checks import check_choice
from imgcls_beam.errors import ConfigError

NO_GPU = "none"

GPU_STAGES = ("all", "classify")
"""`all`: every worker has the GPU. `classify`: only those that read, prepare, predict and stage
rows, by a resource hint (Dataflow's right fitting); those that list and publish have none."""

_OPTION = "worker_accelerator"

DISK_GB = 100
"""An image with torch's CUDA libraries takes about 10 GB, and as much again unpacked; the rest is
for the model and for staged rows."""

HARNESS_THREADS = 4
"""Bundles at a time in the one process of a worker: while one waits for its store or writes its
rows, others keep the GPU busy. More would only hold more prepared images: each reads and decodes
ahead on all cores by itself."""

ONE_PROCESS = "no_use_multiple_sdk_containers"
"""One process a worker holds the model once, and one CUDA context. Pillow decodes without Python's
lock, so one process feeds the GPU from all cores; several, with MPS, would each hold the weights.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Accelerator:
    """A GPU that Dataflow's workers may have, one each.

    Attributes:
        kind: its name there.
        machine_type: the smallest machine whose cores are likely to feed it.
        cores: of that machine; two of its vCPUs are one.
        memory_gb: its own memory.
        half_tflops: dense peak in bfloat16 or float16, by NVIDIA's data sheets, in TFLOP/s.
        single_tflops: likewise in float32, without TF32.
    """

    kind: str
    machine_type: str
    cores: int
    memory_gb: int
    half_tflops: int
    single_tflops: int


ACCELERATORS = {
    "t4": Accelerator("nvidia-tesla-t4", "n1-standard-8", 4, 16, 65, 8),
    "l4": Accelerator("nvidia-l4", "g2-standard-8", 4, 24, 121, 30),
    "a100": Accelerator("nvidia-tesla-a100", "a2-highgpu-1g", 6, 40, 312, 20),
    "h100": Accelerator("nvidia-h100-80gb", "a3-highgpu-1g", 13, 80, 989, 67),
}


def check_gpu(gpu: str, stages: str) -> None:
    """Checks the two flags against each other.

    Raises:
        ConfigError: there is no such GPU, no such choice of stages, or stages of no GPU.
    """
    check_choice("gpu", gpu, (NO_GPU, *ACCELERATORS))
    check_choice("gpu_stages", stages, GPU_STAGES)
    if gpu == NO_GPU and stages != GPU_STAGES[0]:
        raise ConfigError("gpu_stages", stages, "say with --gpu which GPU these stages have")


def to_hint(gpu: str) -> str:
    """The resource hint `accelerator` of stages with a GPU, one of `ACCELERATORS`."""
    accelerator = ACCELERATORS[gpu]
    machine = f"machine_type:{accelerator.machine_type}"
    return f"type:{accelerator.kind};count:1;{machine};install-nvidia-driver"


def to_worker_flags(gpu: str, stages: str, given: Collection[str]) -> list[str]:
    """Beam's flags for workers with a GPU.

    Args:
        gpu: one of `ACCELERATORS`, or `NO_GPU` for no flags.
        stages: of `GPU_STAGES`; where a hint says which stages, no flag names the GPU.
        given: what the caller has set already, and no flag sets again: names of Beam's options,
            and `worker_accelerator`, `use_multiple_sdk_containers`.

    Raises:
        ConfigError: there is no such GPU, or the caller gives all workers one, and a hint too.
    """
    check_gpu(gpu, stages)
    if gpu == NO_GPU:
        return []
    has_hint = stages != GPU_STAGES[0]
    if has_hint and _OPTION in given:
        problem = f"the service takes a resource hint or {_OPTION}, not both; leave one out"
        raise ConfigError("gpu_stages", stages, problem)
    accelerator = ACCELERATORS[gpu]
    asked = f"{_OPTION}=type:{accelerator.kind};count:1;install-nvidia-driver"
    flags = {
        "machine_type": f"--machine_type={accelerator.machine_type}",
        _OPTION: f"--dataflow_service_options={asked}",
        "disk_size_gb": f"--disk_size_gb={DISK_GB}",
        "number_of_worker_harness_threads": f"--number_of_worker_harness_threads={HARNESS_THREADS}",
        "use_multiple_sdk_containers": f"--experiments={ONE_PROCESS}",
    }
    left_out = {*given, *(("machine_type", _OPTION) if has_hint else ())}
    return [flag for name, flag in flags.items() if name not in left_out]
