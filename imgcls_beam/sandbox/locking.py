"""A process gives up what decoding does not need: each thing by itself, as far as it can be had."""

import contextlib
import ctypes
import resource
import signal
from collections.abc import Callable, Iterator

from imgcls_beam.sandbox import landlock
from imgcls_beam.sandbox.kernel_calls import (
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    call_system,
    control_process,
    find_machine,
)
from imgcls_beam.sandbox.seccomp_filter import allow_decoding_only

LOCKS = ("no_new_privileges", "landlock", "limits", "seccomp")
"""By their names in the run record, in the order in which they are closed."""

_CAPSET = (126, 91)
_CAPABILITIES_3 = 0x20080522
_SHARED_BYTES = 1 << 30
"""Beside its own memory a process maps libraries, and what it shares with its starter."""


def lock_process(memory_bytes: int) -> Iterator[str]:
    """Closes one lock after the other, for ever.

    Args:
        memory_bytes: of its own that the process may have.

    Yields:
        Of `LOCKS` those that hold.
    """
    tries: dict[str, Callable[[], bool]] = {
        "no_new_privileges": _give_up_privileges,
        "landlock": _deny_files,
        "limits": lambda: _limit_resources(memory_bytes),
        "seccomp": _filter_calls,
    }
    for name in LOCKS:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if tries[name]():
                yield name


def die_with_starter() -> None:
    """Ends this process when the thread that started it ends; where the kernel does that."""
    with contextlib.suppress(OSError, AttributeError):
        control_process(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))


def _limit_resources(memory_bytes: int) -> bool:
    for name, most in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_AS, memory_bytes + _SHARED_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(name, (most, most))
    return True


def _give_up_privileges() -> bool:
    control_process(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1))
    control_process(PR_SET_DUMPABLE, ctypes.c_ulong(0))
    machine = find_machine()
    if machine is not None:
        head = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0)
        call_system(_CAPSET[machine.column], head, (ctypes.c_uint32 * 6)())
    return True


def _deny_files() -> bool:
    version = landlock.find_version()
    if version:
        landlock.deny_files(version)
    return version > 0


def _filter_calls() -> bool:
    machine = find_machine()
    if machine is not None:
        allow_decoding_only(machine)
    return machine is not None
