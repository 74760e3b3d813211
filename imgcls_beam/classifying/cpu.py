"""What this machine's processor is and can do."""

import ctypes
import functools
import os
import pathlib
import platform

from imgcls_beam.cores import count_cores

_FACTS = pathlib.Path("/proc/cpuinfo")
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Words of Linux for x86's two ways and Arm's."""
_FLAGS = ("flags", "Features")
_NAMES = ("model name", "CPU part")


def count_model_cores() -> int:
    """The cores that models of this process may use: all that it has, or `OMP_NUM_THREADS`.

    Libraries that use OpenMP honour that variable; where it lists several numbers, the first.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    cores = count_cores()
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) > 0 else cores


def describe_cpu() -> str:
    """Equal for processors that run one program alike: the name, and what Linux says it can do."""
    facts = _read_facts()
    known = [facts[name] for name in (*_NAMES, *_FLAGS) if name in facts]
    return " ".join([platform.machine(), *known])


def has_bfloat16() -> bool:
    """Whether it multiplies bfloat16 in hardware; true where the system does not say."""
    facts = _read_facts()
    flags = {flag for name in _FLAGS for flag in facts.get(name, "").split()}
    return not flags or not flags.isdisjoint(_BFLOAT16)


def may_have_cuda() -> bool:
    """Whether there is a driver of NVIDIA's, which torch would have to be asked about."""
    try:
        ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
    except OSError:
        return False
    return True


@functools.cache
def _read_facts() -> dict[str, str]:
    """Of the first core, by the words of Linux."""
    try:
        first = _FACTS.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
