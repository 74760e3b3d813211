"""What this process asks of Linux, by numbers that the C library has no names for."""

import ctypes
import os
import platform
from typing import NamedTuple

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
"""From `linux/prctl.h`."""


_READ_AND_WRITE, _SHARED = ctypes.c_int(3), ctypes.c_int(1)
"""From `sys/mman.h`."""


class Machine(NamedTuple):
    """How system calls are numbered.

    Attributes:
        audit: the number by which a filter knows the architecture, of `linux/audit.h`.
        column: of `seccomp_filter.CALLS`.
    """

    audit: int
    column: int


_MACHINES = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}


def find_machine() -> Machine | None:
    """Of this process; None where it is not known here, as of 32 bits on a kernel of 64."""
    is_wide = ctypes.sizeof(ctypes.c_void_p) == 8
    return _MACHINES.get(platform.machine()) if is_wide else None


def call_system(number: int, *arguments: object) -> int:
    """Makes a system call by its number.

    Raises:
        OSError: the kernel refuses it.
    """
    return _check(_load_library().syscall(ctypes.c_long(number), *arguments))


def control_process(option: int, *arguments: object) -> int:
    """`prctl`; what is not given is 0.

    Raises:
        OSError: the kernel refuses it.
    """
    padded = [*arguments, *[ctypes.c_ulong(0)] * (4 - len(arguments))]
    return _check(_load_library().prctl(option, *padded))


def map_shared(descriptor: int, size_bytes: int) -> int:
    """Maps the beginning of a file of memory; gives its address.

    Python's own `mmap` opens another descriptor, and a locked process may not have one.

    Raises:
        OSError: it cannot be mapped.
    """
    function = _load_library().mmap
    function.restype = ctypes.c_void_p
    address: int | None = function(
        *(None, ctypes.c_size_t(size_bytes), _READ_AND_WRITE, _SHARED),
        *(ctypes.c_int(descriptor), ctypes.c_long(0)),
    )
    if address is None or address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return address


def unmap_shared(address: int, size_bytes: int) -> None:
    """Takes back what `map_shared` did."""
    _load_library().munmap(ctypes.c_void_p(address), ctypes.c_size_t(size_bytes))


def _load_library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
