"""How much memory is left to this process, and how it gives back what it no longer uses."""

import ctypes
import functools
import os
import pathlib
from collections.abc import Callable

from imgcls_beam.control_groups import GROUPS, MEMBERSHIP, list_groups

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's `mallopt`, from its `malloc.h`."""
_KEPT_BYTES = 128 << 20
_MOST_KEPT_BYTES = 32 << 20
"""Glibc takes no more: half of what an arena of a thread has."""

_MACHINE = pathlib.Path("/proc/meminfo")
_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, use, and what of the use is given back where it is needed: of both kinds of groups."""


def count_free_bytes(
    groups: pathlib.Path = GROUPS,
    membership: pathlib.Path = MEMBERSHIP,
    machine: pathlib.Path = _MACHINE,
) -> int | None:
    """What the machine and its container have left; None where the system does not say.

    Args:
        groups: where the kernel shows its control groups.
        membership: the file in which it says of which this process is a member.
        machine: the file in which it says what memory there is.
    """
    folders = {*list_groups(groups, membership), *list_groups(groups / "memory", membership)}
    left = [_read_machine(machine), *map(_read_group, folders)]
    return min((each for each in left if each is not None), default=None)


def give_back_unused() -> None:
    """Gives back to the system what was freed, and is kept for later; where the C library does so.

    Each thread that has decoded large images keeps some of their memory: eight kept 1 GB.
    """
    trim = find_trim()
    if trim is not None:
        trim(0)


@functools.cache
def keep_freed() -> bool:
    """Lets this process keep the memory that its arrays are freed from; whether it could be told.

    A pass of torch on the CPU asks for the same large arrays as the one before. Glibc gives them
    back to the system in between, and the system clears each page that it gives out again: a sixth
    of the processor time of a small ViT. From now on it keeps up to 128 MiB in each arena, of
    arrays up to 32 MiB. It holds for the whole process; whoever has set the variables of glibc's
    `malloc` has decided otherwise.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    try:
        tell = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # as in `find_trim`
        return False
    tell.argtypes, tell.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    told = tell(_M_MMAP_THRESHOLD, _MOST_KEPT_BYTES), tell(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    return all(told)


@functools.cache
def find_trim() -> Callable[[int], int] | None:
    """Glibc's `malloc_trim`; None where there is another library."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim


def _read_machine(path: pathlib.Path) -> int | None:
    try:
        lines = path.read_text().splitlines()
        found = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(found.split()[1]) * 1024
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _read_group(folder: pathlib.Path) -> int | None:
    for limit, use, spare in _FILES:
        try:
            free_bytes = int((folder / limit).read_text()) - int((folder / use).read_text())
            facts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return max(0, free_bytes + int(facts.get(spare, 0)))
        except (OSError, ValueError):  # no such group, another kernel, or no limit
            continue
    return None
