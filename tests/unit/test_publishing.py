import dataclasses
import pathlib
import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from imgcls_beam.errors import PublishError, RunExistsError
from imgcls_beam.sinks import store
from imgcls_beam.sinks.attempts import clear_attempt
from imgcls_beam.sinks.fragments import (
    Fragments,
)
from imgcls_beam.sinks.parts import StagedPart
from imgcls_beam.sinks.publishing import Publication, publish
from imgcls_beam.sinks.record import RunRecord, read_record
from imgcls_beam.sinks.succession import check_run_free
from imgcls_beam.sinks.swapping import swap_file
from tests.staged import (
    RUN,
    STARTED,
    check_committed,
    empty_stores,
    list_output,
    make_batch,
    make_layout,
    make_publication,
    read_uris,
    stage,
    stage_parts,
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
    layout = make_layout(output)
    parts, fragments = stage_parts(layout, sizes, target_bytes)
    record = publish(parts, fragments, sum(sizes), make_publication(layout))
    check_committed(output, record, sum(sizes))


def test_the_order_of_the_parts_does_not_matter(output: str) -> None:
    layout = make_layout(output)
    parts, fragments = stage_parts(layout, [3, 4, 5])
    record = publish(parts[::-1], fragments, 12, make_publication(layout))
    assert [file.path[-22:] for file in record.files] == [
        f"-0000{i}-of-00003.parquet"[-22:] for i in range(3)
    ]
    check_committed(output, record, 12)


def test_no_folder_is_left_that_holds_nothing(tmp_path: pathlib.Path) -> None:
    layout = make_layout(str(tmp_path))
    parts, fragments = stage_parts(layout, [3, 4])
    publish(parts, fragments, 7, make_publication(layout))
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert all(any(folder.iterdir()) for folder in folders)
    assert not (tmp_path / "_staging").exists()


def test_publishing_again_gives_the_first_record(output: str) -> None:
    layout = make_layout(output)
    parts, fragments = stage_parts(layout, [3, 4])
    record = publish(parts, fragments, 7, make_publication(layout))
    assert publish(parts, fragments, 7, make_publication(layout)) == record
    check_committed(output, record, 7)


def test_another_attempt_at_a_published_run_is_refused_and_changes_nothing(output: str) -> None:
    layout, late = make_layout(output), make_layout(output, attempt=2)
    parts, fragments = stage_parts(layout, [3, 4])
    record = publish(parts, fragments, 7, make_publication(layout))
    late_parts, late_fragments = stage_parts(late, [9])
    with pytest.raises(RunExistsError, match="published"):
        publish(late_parts, late_fragments, 9, make_publication(late))
    clear_attempt(late)
    check_committed(output, record, 7)


@pytest.mark.parametrize("listed", [0, 6, 8])
def test_a_run_whose_counts_do_not_add_up_is_failed_and_not_published(
    output: str, listed: int
) -> None:
    layout = make_layout(output)
    parts, fragments = stage_parts(layout, [3, 4])
    with pytest.raises(PublishError, match=f"listed {listed} images, but 7 rows"):
        publish(parts, fragments, listed, make_publication(layout))
    clear_attempt(layout)
    assert list_output(output) == [f"runs/failed/r1-{layout.attempt}.json"]
    failed = read_record(layout.failed_record)
    assert (failed.state, failed.listed, failed.files) == ("FAILED", listed, ())
    assert failed.problem is not None
    check_run_free(output, "r1")


def test_images_listed_but_no_row_at_all_is_failed(output: str) -> None:
    with pytest.raises(PublishError, match=r"0 rows \(none\)"):
        publish([], Fragments(), 3, make_publication(make_layout(output)))


def damage_by_cutting(part: StagedPart) -> None:
    with store.open_existing(part.file.path) as source:
        data = source.read()
    store.write_file(part.file.path, data[:-9])


def damage_by_removing(part: StagedPart) -> None:
    store.remove_files([part.file.path])


def damage_by_swapping(part: StagedPart) -> None:
    table = pa.Table.from_batches([make_batch(0, 2)])
    with store.open_new(part.file.path) as target:
        pq.write_table(table, target)


@pytest.mark.parametrize("damage", [damage_by_cutting, damage_by_removing, damage_by_swapping])
def test_a_damaged_staged_file_stops_the_run_before_anything_is_moved(
    output: str, damage: Callable[[StagedPart], None]
) -> None:
    layout = make_layout(output)
    parts, fragments = stage_parts(layout, [3, 4])
    damage(parts[1])
    with pytest.raises(PublishError, match="part-00001-of-00002"):
        publish(parts, fragments, 7, make_publication(layout))
    assert read_uris(output) == []
    assert store.find_size(layout.record) is None


def test_a_part_that_is_missing_stops_the_run(output: str) -> None:
    layout = make_layout(output)
    parts, fragments = stage_parts(layout, [3, 4])
    with pytest.raises(PublishError, match="1 of 2 parts"):
        publish(parts[:1], fragments, 7, make_publication(layout))
    assert read_uris(output) == []


def test_a_retry_that_finds_foreign_bytes_in_place_of_a_moved_part_stops(output: str) -> None:
    layout = make_layout(output)
    parts, fragments = stage_parts(layout, [3, 4])
    with store.open_existing(parts[0].file.path) as source:
        foreign = bytearray(source.read())
    foreign[100] ^= 1  # of equal size, which is not equality
    damage_by_removing(parts[0])
    store.write_file(layout.locate_part(0, 2), bytes(foreign))
    with pytest.raises(PublishError, match="gone"):
        publish(parts, fragments, 7, make_publication(layout))


def test_of_two_attempts_at_once_one_wins_and_the_other_says_so(tmp_path: pathlib.Path) -> None:
    output = str(tmp_path)
    layouts = [make_layout(output, attempt) for attempt in range(4)]
    staged = [stage_parts(layout, [3, 4, 5]) for layout in layouts]
    results: list[RunRecord | Exception] = []

    def try_to_publish(index: int) -> None:
        try:
            results.append(publish(*staged[index], 12, make_publication(layouts[index])))
        except (RunExistsError, PublishError) as error:
            results.append(error)

    threads = [threading.Thread(target=try_to_publish, args=[i]) for i in range(len(layouts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (record,) = [result for result in results if isinstance(result, RunRecord)]
    assert sum(isinstance(result, RunExistsError) for result in results) == len(layouts) - 1
    for layout in layouts:
        clear_attempt(layout)
    check_committed(output, record, 12)


def test_runs_of_other_names_are_left_alone(output: str) -> None:
    first, other = (
        make_layout(output),
        make_layout(output, run=dataclasses.replace(RUN, run_id="r1-b")),
    )
    stage(other, [2])
    parts, fragments = stage_parts(first, [3])
    publish(parts, fragments, 3, make_publication(first))
    left = [name for name in list_output(output) if name.startswith("_staging")]
    assert [name.split("/")[1] for name in left] == [f"r1-b-{other.attempt}"]


@pytest.mark.parametrize("folder", ["a[1]", "b*", "c?d", "e f", "ü"])
def test_names_that_look_like_patterns_are_names(tmp_path: pathlib.Path, folder: str) -> None:
    (tmp_path / "a1").mkdir()
    (tmp_path / "bystander").mkdir()
    (tmp_path / "a1" / "keep").touch()
    output = str(tmp_path / folder)
    layout = make_layout(output)
    parts, fragments = stage_parts(layout, [3, 4])
    check_committed(output, publish(parts, fragments, 7, make_publication(layout)), 7)
    assert (tmp_path / "a1" / "keep").exists()
    assert (tmp_path / "bystander").exists()


def test_runs_that_end_and_begin_side_by_side_do_not_take_each_others_folders(
    tmp_path: pathlib.Path,
) -> None:
    output = str(tmp_path)
    problems: list[Exception] = []

    def publish_some(first: int) -> None:
        try:
            for number in range(first, first + 12):
                run = dataclasses.replace(RUN, run_id=f"r{number}")
                layout = make_layout(output, number, run)
                parts, fragments = stage_parts(layout, [2])
                publish(parts, fragments, 2, Publication(run, layout, "{}", STARTED))
                store.remove_folder(layout.run_folder)
                store.remove_files([layout.record])
                clear_attempt(layout)
        except Exception as problem:  # noqa: BLE001  a thread's own would be lost
            problems.append(problem)

    threads = [threading.Thread(target=publish_some, args=[100 * i]) for i in range(1, 9)]
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
    swap_file(f"{tmp_path}/runs/r1.json", b"{}", None, f"{tmp_path}/scratch")
    assert (tmp_path / "runs" / "r1.json").read_bytes() == b"{}"
    assert len(calls) == 3
