"""Linux's control groups: what a container may use. See admin-guide/cgroup-v2 of the kernel."""

import pathlib
from collections.abc import Iterator

GROUPS = pathlib.Path("/sys/fs/cgroup")
MEMBERSHIP = pathlib.Path("/proc/self/cgroup")


def list_groups(root: pathlib.Path, membership: pathlib.Path) -> Iterator[pathlib.Path]:
    """The folders of this process's groups below a root, and those above them, the root among them.

    Args:
        root: where the kernel shows groups, of one controller or of all.
        membership: the file in which it says of which this process is a member.
    """
    folders = {root: None}
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        parts = pathlib.PurePosixPath(line.split(":", 2)[-1]).parts[1:]
        folders |= {root.joinpath(*parts[: depth + 1]): None for depth in range(len(parts))}
    yield from folders
