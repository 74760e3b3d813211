"""Processes that classify on one machine share its cores."""

import functools
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from imgcls_beam.classifying import ClassifierSpec
from imgcls_beam.classifying.core_share import CoreShare, share_cores
from imgcls_beam.cores import count_cores
from imgcls_beam.scoring import ModelSource

ROOT = pathlib.Path(__file__).parents[2]

_OTHER = """
import pathlib, sys
from imgcls_beam.classifying.core_share import CoreShare
share = CoreShare(pathlib.Path(sys.argv[1]), 4)
print(share.count(), flush=True)
sys.stdin.read()
"""


class Clock:
    def __init__(self) -> None:
        self.now_s = 1e9

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "cores"


def test_a_process_alone_has_all_cores(folder: pathlib.Path, clock: Clock) -> None:
    share = CoreShare(folder, 4, clock)
    assert [share.count() for _ in range(3)] == [4, 4, 4]
    assert len(list(folder.iterdir())) == 1


def test_two_have_half_each_from_the_next_look_on(folder: pathlib.Path, clock: Clock) -> None:
    first, second = (CoreShare(folder, 4, clock) for _ in range(2))
    assert (first.count(), second.count()) == (4, 2)
    assert first.count() == 4  # it looks once a second
    clock.now_s += 1
    assert (first.count(), second.count()) == (2, 2)


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (2, 1), (8, 2)])
def test_each_has_one_at_least(
    folder: pathlib.Path, clock: Clock, cores: int, expected: int
) -> None:
    shares = [CoreShare(folder, cores, clock) for _ in range(4)]
    for share in shares:
        share.count()
    clock.now_s += 1
    assert [share.count() for share in shares] == [expected] * 4


def test_who_classifies_no_longer_has_no_share(folder: pathlib.Path, clock: Clock) -> None:
    first, second = (CoreShare(folder, 2, clock) for _ in range(2))
    first.count()
    second.count()
    clock.now_s += 11
    assert first.count() == 2
    clock.now_s += 1
    assert second.count() == 1


@pytest.fixture
def other(folder: pathlib.Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _OTHER, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "4\n"
        yield process
        process.kill()


def test_a_process_that_died_has_no_share_and_leaves_nothing(
    folder: pathlib.Path, other: subprocess.Popen[str]
) -> None:
    assert CoreShare(folder, 4).count() == 2
    other.kill()
    other.wait()
    share = CoreShare(folder, 4)
    assert share.count() == 4
    assert len(list(folder.glob("*.lock"))) == 1


def test_as_many_as_were_asked_for_are_used_whoever_else_is_there(
    folder: pathlib.Path, clock: Clock
) -> None:
    CoreShare(folder, 4, clock).count()
    assert CoreShare(folder, 4, clock, is_fixed=True).count() == 4
    source = ModelSource("m", None, "m", "m")
    for threads in (1, 3, 64):
        share = share_cores(ClassifierSpec(source, None, threads=threads))
        assert (share.cores, share.count()) == (threads, threads)


def test_models_of_a_job_share_the_cores_of_the_machine(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("imgcls_beam.classifying.cpu.count_cores", lambda: 8)
    spec = ClassifierSpec(ModelSource("m", None, "m", "m"), None)
    shares = [share_cores(spec) for _ in range(4)]
    assert [share.count() for share in shares] == [8, 4, 2, 2]


def test_where_no_lock_can_be_held_a_process_has_all(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    share = CoreShare(tmp_path / "file" / "cores", 4)
    assert share.count() == 4


@pytest.mark.parametrize(
    ("asked", "cores"), [("1", 1), ("1,2", 1), ("0", None), ("many", None), ("", None)]
)
def test_the_environment_may_ask_for_fewer(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, asked: str, cores: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    found = CoreShare(folder).count()
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert found == (cores or CoreShare(folder / "other").count())


@pytest.mark.parametrize(("processes", "expected"), [(1, 4), (2, 2), (4, 1)])
def test_processes_in_a_container_share_what_its_limit_leaves_of_the_machine(
    folder: pathlib.Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    processes: int,
    expected: int,
) -> None:
    groups = folder.parent / "groups"
    groups.mkdir()
    (groups / "cpu.max").write_text("400000 100000\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    count = functools.partial(count_cores, groups, groups / "none")
    monkeypatch.setattr("imgcls_beam.classifying.cpu.count_cores", count)
    shares = [CoreShare(folder, clock_s=clock) for _ in range(processes)]
    for share in shares:
        share.count()
    clock.now_s += 1
    assert [share.count() for share in shares] == [expected] * processes
