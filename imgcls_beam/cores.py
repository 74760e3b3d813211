"""How many cores this process may keep busy."""

import math
import os
import pathlib
from collections.abc import Iterator

_CGROUPS = pathlib.Path("/sys/fs/cgroup")
_MEMBERSHIP = pathlib.Path("/proc/self/cgroup")
_QUOTA, _PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


def count_cores(cgroups: pathlib.Path = _CGROUPS, membership: pathlib.Path = _MEMBERSHIP) -> int:
    """Cores that this process is bound to, or fewer where its container has less time on them.

    A quota of a core and a half is two cores. The files are those of the kernel's
    admin-guide/cgroup-v2 (`cpu.max`) and scheduler/sched-bwc (`cpu.cfs_quota_us`).

    Args:
        cgroups: where the kernel shows its control groups.
        membership: the file in which it says of which this process is a member.

    Returns:
        At least 1.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    bound = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    quotas = (math.ceil(each) for each in _read_quotas(cgroups, membership))
    return max(1, min((bound, *quotas)))


def _read_quotas(cgroups: pathlib.Path, membership: pathlib.Path) -> Iterator[float]:
    """The quotas, in cores, of the group of this process and of those around it."""
    for root in (cgroups, cgroups / "cpu"):
        for folder in {root, *_list_groups(root, membership)}:
            try:
                if (folder / "cpu.max").exists():
                    quota, period = (folder / "cpu.max").read_text().split()
                else:
                    quota, period = ((folder / each).read_text() for each in (_QUOTA, _PERIOD))
                if quota != "max" and int(quota) > 0:
                    yield int(quota) / int(period)
            except (OSError, ValueError, ZeroDivisionError):  # no such group, or another kernel
                continue


def _list_groups(root: pathlib.Path, membership: pathlib.Path) -> Iterator[pathlib.Path]:
    """The folders of this process's groups, and those above them."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        parts = pathlib.PurePosixPath(line.split(":", 2)[-1]).parts[1:]
        yield from (root.joinpath(*parts[: depth + 1]) for depth in range(len(parts)))
