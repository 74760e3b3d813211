"""What a committed run still is after a power cut, and the lock of a run, on a local disk."""

import errno
import fcntl
import os
import pathlib
import threading

import pytest
from fsspec.implementations.local import LocalFileSystem

from imgcls_beam.options import OutputOptions
from imgcls_beam.sinks import JsonlSession
from imgcls_beam.sinks.jsonl_files import commit_jsonl
from imgcls_beam.sinks.run_paths import TAG_CHARS
from imgcls_beam.sinks.session import open_output
from imgcls_beam.stores import open_folder
from tests.staged import NOON, begin, commit, stage_merged


class Disk:
    """What is told to a disk, in its order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[tuple[str, str]] = []
        fsync, link = os.fsync, LocalFileSystem.link

        def hear_fsync(descriptor: int) -> None:
            self.told.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
            fsync(descriptor)

        def hear_link(disk: LocalFileSystem, source: str, target: str) -> None:
            self.told.append(("link", target))
            link(disk, source, target)

        monkeypatch.setattr(os, "fsync", hear_fsync)
        monkeypatch.setattr(LocalFileSystem, "link", hear_link)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_files_and_folders_are_synced_before_the_record_and_the_record_too(
    tmp_path: pathlib.Path, disk: Disk
) -> None:
    session = begin(str(tmp_path))
    merged, staged = stage_merged(session, [3, 4])
    record = commit(merged, staged, 7, session)
    linked = disk.told.index(("link", session.folder.path_of(session.paths.record)))
    synced = {path for what, path in disk.told[:linked] if what == "sync"}
    files = [tmp_path / file.path for file in record.files]
    assert {str(file) for file in files} <= synced
    assert {str(folder) for folder in files[0].parents if folder.is_relative_to(tmp_path)} <= synced
    assert session.folder.path_of(f"{session.paths.staging}/record") in synced
    assert ("sync", str(tmp_path / "runs")) in disk.told[linked:]


def test_lines_are_synced_before_they_are_moved_to_their_place(
    tmp_path: pathlib.Path, disk: Disk
) -> None:
    session = JsonlSession.of_url(f"{tmp_path}/r.jsonl", "ab" * 16)
    commit_jsonl([], 0, session)
    linked = disk.told.index(("link", session.url))
    assert ("sync", f"{tmp_path}/{session.staging}/merged") in disk.told[:linked]
    assert ("sync", str(tmp_path)) in disk.told[linked:]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_written_all_the_same(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    folder = open_folder("output", str(tmp_path))
    with folder.hold_lock("a/run.lock"):
        folder.write("a/file", b"x")
    assert folder.list_names() == ["a/file"]


@pytest.mark.parametrize("code", [None, errno.EWOULDBLOCK, errno.ENOLCK, errno.EOPNOTSUPP])
def test_names_have_a_tag_where_no_lock_keeps_others_away(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    """Two programs that begin one run would write to the same files."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code or 0))

    if code is not None:
        monkeypatch.setattr(fcntl, "flock", refuse)
    output = OutputOptions(f"{tmp_path}/not/yet/there", "r1", NOON.date())
    _, paths = open_output(output)
    has_lock = code in (None, errno.EWOULDBLOCK)
    assert paths.tag == ("" if has_lock else output.session_id[:TAG_CHARS])
    assert list(tmp_path.iterdir()) == []


def test_a_lock_lets_in_one_thread_whoever_removes_its_folder(tmp_path: pathlib.Path) -> None:
    folder = open_folder("output", str(tmp_path))
    inside, most, ended = [0], [0], [0]

    def enter() -> None:
        for _ in range(20):
            with folder.hold_lock("a/run.lock"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                ended[0] += 1
                inside[0] -= 1
            folder.prune("a")

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, ended) == ([1], [120])
    assert list(tmp_path.iterdir()) == []
