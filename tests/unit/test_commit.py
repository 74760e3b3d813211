import dataclasses
import pathlib
import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from imgcls_beam.board import BOARD
from imgcls_beam.errors import PublishError, RunExistsError
from imgcls_beam.sinks import abandon_session
from imgcls_beam.sinks.merging import MergedFile
from imgcls_beam.sinks.record import RunRecord, find_current, read_record
from imgcls_beam.sinks.staged_files import StagedFiles
from imgcls_beam.stores import Folder, open_folder
from tests.staged import (
    RUN,
    SCORING,
    begin,
    check_committed,
    commit,
    empty_stores,
    list_output,
    make_batch,
    read_uris,
    stage,
    stage_merged,
)


@pytest.fixture(params=["mortal", "mortalbucket"])
def output(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """An empty output folder on each kind of store."""
    empty_stores()
    yield f"{request.param}://{tmp_path}/out"
    empty_stores()


@pytest.mark.parametrize("sizes", [[], [7], [3, 4, 5], [1] * 12])
@pytest.mark.parametrize("target_bytes", [1, 10**9])
def test_a_published_run_is_its_files_and_its_record(
    output: str, sizes: list[int], target_bytes: int
) -> None:
    session = begin(output)
    merged, staged = stage_merged(session, sizes, target_bytes)
    record = commit(merged, staged, sum(sizes), session)
    check_committed(output, record, sum(sizes))


def test_the_board_says_how_far_publishing_is(output: str) -> None:
    BOARD.reset()
    session = begin(output)
    merged, staged = stage_merged(session, [3, 4, 5])
    assert BOARD.read().to_publish == 0
    commit(merged, staged, 12, session)
    assert (BOARD.read().published, BOARD.read().to_publish) == (3, 3)


def test_the_order_of_the_files_does_not_matter(output: str) -> None:
    session = begin(output)
    merged, staged = stage_merged(session, [3, 4, 5])
    record = commit(merged[::-1], staged, 12, session)
    names = [file.path.rpartition("/")[2][:19] for file in record.files]
    assert names == [f"part-0000{i}-of-00003" for i in range(3)]
    check_committed(output, record, 12)


def test_no_folder_is_left_that_holds_nothing(tmp_path: pathlib.Path) -> None:
    session = begin(str(tmp_path))
    merged, staged = stage_merged(session, [3, 4])
    commit(merged, staged, 7, session)
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert all(any(folder.iterdir()) for folder in folders)
    assert not (tmp_path / "_staging").exists()


def test_publishing_again_gives_the_first_record(output: str) -> None:
    session = begin(output)
    merged, staged = stage_merged(session, [3, 4])
    record = commit(merged, staged, 7, session)
    assert commit(merged, staged, 7, session) == record
    check_committed(output, record, 7)


def test_another_session_of_a_published_run_is_refused_and_changes_nothing(output: str) -> None:
    session, late = begin(output), begin(output, 2)
    merged, staged = stage_merged(session, [3, 4])
    record = commit(merged, staged, 7, session)
    late_merged, late_staged = stage_merged(late, [9])
    with pytest.raises(RunExistsError, match="published"):
        commit(late_merged, late_staged, 9, late)
    abandon_session(late)
    check_committed(output, record, 7)


@pytest.mark.parametrize("listed", [0, 6, 8])
def test_a_run_whose_counts_do_not_add_up_is_failed_and_not_published(
    output: str, listed: int
) -> None:
    session = begin(output)
    merged, staged = stage_merged(session, [3, 4])
    with pytest.raises(PublishError, match=f"listed {listed} images, but 7 rows"):
        commit(merged, staged, listed, session)
    abandon_session(session)
    assert list_output(output) == [f"runs/failed/r1-{session.session_id}.json"]
    failed = read_record(session.folder.url_of(session.paths.failed_record))
    assert (failed.state, failed.listed, failed.files) == ("FAILED", listed, ())
    assert failed.problem is not None
    assert find_current(session.folder, "r1") is None


def test_images_listed_but_no_row_at_all_is_failed(output: str) -> None:
    with pytest.raises(PublishError, match=r"0 rows \(none\)"):
        commit([], StagedFiles(), 3, begin(output))


def damage_by_cutting(folder: Folder, merged: MergedFile) -> None:
    with folder.open_existing(merged.file.path) as source:
        data = source.read()
    folder.write(merged.file.path, data[:-9])


def damage_by_removing(folder: Folder, merged: MergedFile) -> None:
    folder.remove(merged.file.path)


def damage_by_swapping(folder: Folder, merged: MergedFile) -> None:
    table = pa.Table.from_batches([make_batch(0, 2)])
    with folder.open_new(merged.file.path) as target:
        pq.write_table(table, target)


@pytest.mark.parametrize("damage", [damage_by_cutting, damage_by_removing, damage_by_swapping])
def test_a_damaged_staged_file_stops_the_run_before_anything_is_moved(
    output: str, damage: Callable[[Folder, MergedFile], None]
) -> None:
    session = begin(output)
    merged, staged = stage_merged(session, [3, 4])
    damage(session.folder, merged[1])
    with pytest.raises(PublishError, match="part-00001-of-00002"):
        commit(merged, staged, 7, session)
    assert read_uris(output) == []
    assert session.folder.find_size(session.paths.record) is None


def test_a_file_that_is_missing_stops_the_run(output: str) -> None:
    session = begin(output)
    merged, staged = stage_merged(session, [3, 4])
    with pytest.raises(PublishError, match="1 of 2 files"):
        commit(merged[:1], staged, 7, session)
    assert read_uris(output) == []


def test_a_retry_that_finds_foreign_bytes_in_place_of_a_moved_file_stops(output: str) -> None:
    session = begin(output)
    merged, staged = stage_merged(session, [3, 4])
    with session.folder.open_existing(merged[0].file.path) as source:
        foreign = bytearray(source.read())
    foreign[100] ^= 1  # of equal size, which is not equality
    damage_by_removing(session.folder, merged[0])
    session.folder.write(session.paths.locate_file(SCORING.model.key, 0, 2), bytes(foreign))
    with pytest.raises(PublishError, match="gone"):
        commit(merged, staged, 7, session)


def test_of_two_sessions_at_once_one_wins_and_the_other_says_so(tmp_path: pathlib.Path) -> None:
    output = str(tmp_path)
    sessions = [begin(output, number) for number in range(4)]
    staged = [stage_merged(session, [3, 4, 5]) for session in sessions]
    results: list[RunRecord | Exception] = []

    def try_to_commit(index: int) -> None:
        try:
            results.append(commit(*staged[index], 12, sessions[index]))
        except (RunExistsError, PublishError) as error:
            results.append(error)

    threads = [threading.Thread(target=try_to_commit, args=[i]) for i in range(len(sessions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (record,) = [result for result in results if isinstance(result, RunRecord)]
    assert sum(isinstance(result, RunExistsError) for result in results) == len(sessions) - 1
    for session in sessions:
        abandon_session(session)
    check_committed(output, record, 12)


def test_runs_of_other_names_are_left_alone(output: str) -> None:
    session, other = begin(output), begin(output, run=dataclasses.replace(RUN, run_id="r1-b"))
    stage(other, [2])
    merged, staged = stage_merged(session, [3])
    commit(merged, staged, 3, session)
    left = [name for name in list_output(output) if name.startswith("_staging")]
    assert list(dict.fromkeys(name.split("/")[1] for name in left)) == [f"r1-b-{other.session_id}"]


@pytest.mark.parametrize("folder", ["a[1]", "b*", "c?d", "e f", "ü"])
def test_names_that_look_like_patterns_are_names(tmp_path: pathlib.Path, folder: str) -> None:
    (tmp_path / "a1").mkdir()
    (tmp_path / "bystander").mkdir()
    (tmp_path / "a1" / "keep").touch()
    output = str(tmp_path / folder)
    session = begin(output)
    merged, staged = stage_merged(session, [3, 4])
    check_committed(output, commit(merged, staged, 7, session), 7)
    assert (tmp_path / "a1" / "keep").exists()
    assert (tmp_path / "bystander").exists()


def test_runs_that_end_and_begin_side_by_side_do_not_take_each_others_folders(
    tmp_path: pathlib.Path,
) -> None:
    output = str(tmp_path)
    problems: list[Exception] = []

    def commit_some(first: int) -> None:
        try:
            for number in range(first, first + 12):
                run = dataclasses.replace(RUN, run_id=f"r{number}")
                session = begin(output, number, run)
                merged, staged = stage_merged(session, [2])
                commit(merged, staged, 2, session)
                session.folder.remove_below(session.paths.run_folder(SCORING.model.key))
                session.folder.remove(session.paths.record)
                abandon_session(session)
        except Exception as problem:  # noqa: BLE001  a thread's own would be lost
            problems.append(problem)

    threads = [threading.Thread(target=commit_some, args=[100 * i]) for i in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert list_output(output) == []


def test_a_folder_that_goes_while_it_is_made_is_made_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, calls = LocalFileSystem.makedirs, []

    def find_it_taken_away(disk: LocalFileSystem, path: str, exist_ok: bool = False) -> None:
        calls.append(path)
        if len(calls) < 3:
            raise (FileExistsError, FileNotFoundError)[len(calls) % 2](path)
        make(disk, path, exist_ok=exist_ok)

    monkeypatch.setattr(LocalFileSystem, "makedirs", find_it_taken_away)
    open_folder("output", str(tmp_path)).swap("runs/r1.json", b"{}", None, "scratch")
    assert (tmp_path / "runs" / "r1.json").read_bytes() == b"{}"
    assert len(calls) == 3
