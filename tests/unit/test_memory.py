"""How much memory is left to a process, and what it keeps of what it frees."""

import os
import pathlib
import subprocess
import sys

import pytest

from imgcls_beam.memory import count_free_bytes, find_trim, keep_freed

MB = 1 << 20


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:  5120 kB\n")
    return path


@pytest.fixture
def membership(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "cgroup"
    path.write_text("4:memory:/jobs/one\n0::/jobs/one\n")
    return path


def write(folder: pathlib.Path, limit: str, used: int, names: tuple[str, str], stat: str) -> None:
    folder.mkdir(parents=True)
    for name, text in zip((*names, "memory.stat"), (limit, str(used), stat), strict=True):
        (folder / name).write_text(text + "\n")


SECOND = ("memory.max", "memory.current")
FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes")


def test_without_a_container_it_is_what_the_machine_has(
    tmp_path: pathlib.Path, machine: pathlib.Path, membership: pathlib.Path
) -> None:
    assert count_free_bytes(tmp_path / "none", membership, machine) == 5 * MB
    write(tmp_path / "groups/jobs/one", "max", MB, SECOND, "inactive_file 5")
    assert count_free_bytes(tmp_path / "groups", membership, machine) == 5 * MB


@pytest.mark.parametrize(
    ("folder", "names", "spare"),
    [
        ("jobs/one", SECOND, "inactive_file"),
        ("jobs", SECOND, "inactive_file"),
        (".", SECOND, "inactive_file"),
        ("memory/jobs/one", FIRST, "total_inactive_file"),
        ("memory", FIRST, "total_inactive_file"),
    ],
)
def test_a_container_has_what_its_limit_leaves_and_what_files_give_back(
    tmp_path: pathlib.Path,
    machine: pathlib.Path,
    membership: pathlib.Path,
    folder: str,
    names: tuple[str, str],
    spare: str,
) -> None:
    stat = f"anon 7\n{spare} {MB}"
    write(tmp_path / "groups" / folder, str(4 * MB), 2 * MB, names, stat)
    assert count_free_bytes(tmp_path / "groups", membership, machine) == 3 * MB


def test_a_container_that_uses_more_than_its_limit_has_nothing(
    tmp_path: pathlib.Path, machine: pathlib.Path, membership: pathlib.Path
) -> None:
    write(tmp_path / "groups", str(MB), 2 * MB, SECOND, "anon 7")
    assert count_free_bytes(tmp_path / "groups", membership, machine) == 0


def test_a_system_that_does_not_say_gives_none(tmp_path: pathlib.Path) -> None:
    nothing = tmp_path / "nothing"
    assert count_free_bytes(nothing, nothing, nothing) is None


PASSES = """
import resource
import sys
import numpy as np
from imgcls_beam.memory import keep_freed

if sys.argv[1] == "keep":
    assert keep_freed()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        arrays = [np.ones(3 << 20, np.uint8) for _ in range(4)]
        del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count_faults(how: str, **variables: str) -> int:
    """Pages that the system gave out anew for what a process had before."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")
    }
    command = [sys.executable, "-c", PASSES, how]
    done = subprocess.run(
        command, env={**environment, **variables}, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(find_trim() is None, reason="the C library is not glibc")
def test_arrays_that_come_again_and_again_are_not_asked_of_the_system_each_time() -> None:
    assert 10 * count_faults("keep") < count_faults("plain")
    trims = {"MALLOC_TRIM_THRESHOLD_": str(1 << 20), "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    assert 10 * count_faults("keep") < count_faults("plain", **trims)


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_who_has_tuned_the_c_library_is_left_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "")
    keep_freed.cache_clear()
    assert not keep_freed()
    keep_freed.cache_clear()
