"""How many cores this process may keep busy."""

import math
import os
import pathlib
from collections.abc import Iterator

from imgcls_beam.control_groups import GROUPS, MEMBERSHIP, list_groups

_QUOTA, _PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


def count_cores(cgroups: pathlib.Path = GROUPS, membership: pathlib.Path = MEMBERSHIP) -> int:
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
        for folder in list_groups(root, membership):
            try:
                if (folder / "cpu.max").exists():
                    quota, period = (folder / "cpu.max").read_text().split()
                else:
                    quota, period = ((folder / each).read_text() for each in (_QUOTA, _PERIOD))
                if quota != "max" and int(quota) > 0:
                    yield int(quota) / int(period)
            except (OSError, ValueError, ZeroDivisionError):  # no such group, or another kernel
                continue
