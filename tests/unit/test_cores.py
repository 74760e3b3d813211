"""How many cores a process may keep busy."""

import os
import pathlib

import pytest

from imgcls_beam.cores import count_cores

BOUND = len(os.sched_getaffinity(0))


def write(folder: pathlib.Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def membership(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "cgroup"
    path.write_text("4:cpu,cpuacct:/jobs/one\n0::/jobs/one\n")
    return path


def test_without_quotas_it_is_the_cores_that_the_process_is_bound_to(
    tmp_path: pathlib.Path, membership: pathlib.Path
) -> None:
    assert count_cores(tmp_path / "none", tmp_path / "neither") == BOUND
    write(tmp_path / "groups", cpu__max="max 100000\n")
    assert count_cores(tmp_path / "groups", membership) == BOUND


@pytest.mark.parametrize(
    ("text", "cores"), [("50000 100000", 1), ("100000 100000", 1), ("900000 100000", 9)]
)
@pytest.mark.parametrize("place", [".", "jobs", "jobs/one"])
def test_a_quota_of_the_group_or_of_one_around_it_is_a_limit(
    tmp_path: pathlib.Path, membership: pathlib.Path, place: str, text: str, cores: int
) -> None:
    write(tmp_path / "groups" / place, cpu__max=f"{text}\n")
    assert count_cores(tmp_path / "groups", membership) == min(cores, BOUND)
    write(tmp_path / "groups" / "jobs" / "other", cpu__max="1000 100000\n")
    assert count_cores(tmp_path / "groups", membership) == min(cores, BOUND)


def test_a_quota_of_older_kernels_is_one_too(
    tmp_path: pathlib.Path, membership: pathlib.Path
) -> None:
    times = {"cpu__cfs_quota_us": "-1\n", "cpu__cfs_period_us": "100000\n"}
    write(tmp_path / "cpu", **times)
    assert count_cores(tmp_path, membership) == BOUND
    write(tmp_path / "cpu" / "jobs", **{**times, "cpu__cfs_quota_us": "30000\n"})
    assert count_cores(tmp_path, membership) == 1


@pytest.mark.parametrize("text", ["", "many 100000", "100000 0", "100000"])
def test_what_cannot_be_read_is_no_limit(
    tmp_path: pathlib.Path, membership: pathlib.Path, text: str
) -> None:
    write(tmp_path / "groups", cpu__max=text)
    assert count_cores(tmp_path / "groups", membership) == BOUND
