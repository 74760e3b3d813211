"""GPU workers of Dataflow: what `--gpu` sets, as Beam's own options.

Machine and accelerator names: cloud.google.com/dataflow/docs/gpu/gpu-support and
cloud.google.com/compute/docs/gpus.
"""

import dataclasses
from collections.abc import Collection

from imgcls_beam.errors import ConfigError

NO_GPU = "none"

DISK_GB = 100
"""An image with torch's CUDA libraries takes about 10 GB, and as much again unpacked; what is left
is for the model and for staged rows."""

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
        memory_gb: its own memory.
    """

    kind: str
    machine_type: str
    memory_gb: int


ACCELERATORS = {
    "t4": Accelerator("nvidia-tesla-t4", "n1-standard-8", 16),
    "l4": Accelerator("nvidia-l4", "g2-standard-8", 24),
    "a100": Accelerator("nvidia-tesla-a100", "a2-highgpu-1g", 40),
    "h100": Accelerator("nvidia-h100-80gb", "a3-highgpu-1g", 80),
}


def to_worker_flags(gpu: str, given: Collection[str]) -> list[str]:
    """Beam's flags for workers with a GPU.

    Args:
        gpu: one of `ACCELERATORS`, or `NO_GPU` for no flags.
        given: what the caller has set already, which stays: names of Beam's options, and
            `worker_accelerator`, `use_multiple_sdk_containers`.

    Raises:
        ConfigError: there is no such GPU.
    """
    if gpu == NO_GPU:
        return []
    if gpu not in ACCELERATORS:
        allowed = ", ".join((NO_GPU, *ACCELERATORS))
        raise ConfigError("gpu", gpu, f"allowed: {allowed}")
    accelerator = ACCELERATORS[gpu]
    asked = f"worker_accelerator=type:{accelerator.kind};count:1;install-nvidia-driver"
    flags = {
        "machine_type": f"--machine_type={accelerator.machine_type}",
        "worker_accelerator": f"--dataflow_service_options={asked}",
        "disk_size_gb": f"--disk_size_gb={DISK_GB}",
        "number_of_worker_harness_threads": f"--number_of_worker_harness_threads={HARNESS_THREADS}",
        "use_multiple_sdk_containers": f"--experiments={ONE_PROCESS}",
    }
    return [flag for name, flag in flags.items() if name not in given]
