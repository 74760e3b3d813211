"""Sessions of a run that is published: replace, append, errors; on both kinds of store."""

import dataclasses
import datetime
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from imgcls_beam.errors import ConfigError, PublishError, RunExistsError
from imgcls_beam.sinks import abandon_session, begin_session
from imgcls_beam.sinks.leftovers import NOTE, STALE, sweep_sessions, write_note
from imgcls_beam.sinks.merging import merge_files, plan_session
from imgcls_beam.sinks.record import RunRecord, encode_record, read_record
from imgcls_beam.sinks.session import make_note
from imgcls_beam.stores import join_url
from tests import by_url
from tests.staged import (
    FUSE,
    RUN,
    STARTED,
    Killed,
    Run,
    begin,
    check_committed,
    commit,
    empty_stores,
    list_output,
    make_uris,
    read_uris,
    stage_from,
)

OTHER_MODEL = dataclasses.replace(RUN, model_id="owner/other", model_revision="b" * 40)


@pytest.fixture(params=["mortal", "mortalbucket"])
def output(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """An empty output folder on each kind of store."""
    empty_stores()
    yield f"{request.param}://{tmp_path}/out"
    empty_stores()


@dataclasses.dataclass
class Program:
    """One start of the program: its session, and what it staged."""

    output: str
    number: int
    how: str = "fail"
    run: Run = RUN

    def __post_init__(self) -> None:
        how: dict[str, Any] = {"fail": {}, "errors": {"only": "errors"}}
        changes = how.get(self.how, {"if_exists": self.how})
        self.session = begin(self.output, self.number, self.run, **changes)

    def stage(self, spans: Sequence[tuple[int, int]], are_ok: bool = False) -> "Program":
        """Stages one bundle per (first image, images), and merges them file by file."""
        self.staged = stage_from(self.session, spans, self.run, are_ok)
        planned = plan_session(self.staged, dataclasses.replace(self.session, file_bytes=1))
        self.merged = [
            merge_files(each, self.session.folder, self.session.paths.staging) for each in planned
        ]
        self.listed = sum(rows for _, rows in spans)
        return self

    def commit(self) -> RunRecord:
        return commit(self.merged, self.staged, self.listed, self.session)


def publish_first(output: str) -> RunRecord:
    """Images 0 to 11 in three files; every fourth failed."""
    return Program(output, 1).stage([(0, 3), (3, 4), (7, 5)]).commit()


def test_replace_leaves_the_new_rows_and_only_they(output: str) -> None:
    publish_first(output)
    record = Program(output, 2, "replace").stage([(0, 9)]).commit()
    check_committed(output, record, 9)
    assert record.counts["listed"] == 9
    assert [each.how for each in record.publications] == ["replace"]


def test_replace_by_another_model_and_day_takes_the_old_files_away(output: str) -> None:
    publish_first(output)
    tomorrow = RUN.run_date + datetime.timedelta(days=1)
    other = dataclasses.replace(OTHER_MODEL, run_date=tomorrow)
    record = Program(output, 2, "replace", other).stage([(0, 12)]).commit()
    check_committed(output, record, 12)
    assert all("owner--other" in name for name in list_output(output) if "part-" in name)


def test_replace_of_nothing_is_a_new_run(output: str) -> None:
    record = Program(output, 1, "replace").stage([(0, 5)]).commit()
    check_committed(output, record, 5)
    assert [each.how for each in record.publications] == ["new"]


def test_append_adds_rows_counts_and_times(output: str) -> None:
    first = publish_first(output)
    record = Program(output, 2, "append").stage([(12, 8)]).commit()
    check_committed(output, record, 20)
    assert record.counts == {"listed": 20, "ok": 15, "error": 5, "skipped": 0}
    assert record.files[: len(first.files)] == first.files
    assert [(each.how, each.rows) for each in record.publications] == [("new", 12), ("append", 8)]
    assert record.duration_s == pytest.approx(sum(each.duration_s for each in record.publications))
    assert record.summary["labels"] == [{"label": "cat", "count": 15}]


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"model_revision": "b" * 40}, "model"),
        ({"top_k": 4}, "top_k"),
        ({"function_to_apply": "sigmoid"}, "function_to_apply"),
        ({"preprocess": "fast"}, "preprocess"),
    ],
)
@pytest.mark.parametrize("how", ["append", "errors"])
def test_rows_of_another_kind_are_not_added(
    output: str, change: dict[str, object], option: str, how: str
) -> None:
    publish_first(output)
    with pytest.raises(ConfigError, match=option) as caught:
        Program(output, 2, how, dataclasses.replace(RUN, **change))  # type: ignore[arg-type]
    assert caught.value.option == option


def test_rows_of_another_day_are_not_added(output: str) -> None:
    publish_first(output)
    tomorrow = dataclasses.replace(RUN, run_date=RUN.run_date + datetime.timedelta(days=1))
    with pytest.raises(ConfigError, match="run_date"):
        Program(output, 2, "append", tomorrow)


def test_a_retry_keeps_the_day_of_its_run(output: str) -> None:
    publish_first(output)
    tomorrow = dataclasses.replace(RUN, run_date=RUN.run_date + datetime.timedelta(days=1))
    retry = Program(output, 2, "errors", tomorrow).stage([(0, 1)], are_ok=True)
    record = retry.commit()
    check_committed(output, record, 12)
    assert record.run_date == RUN.run_date
    assert {file.path.split("/")[1] for file in record.files} == {f"run_date={RUN.run_date}"}


def test_a_retry_takes_the_place_of_the_error_rows_that_it_tried(output: str) -> None:
    publish_first(output)
    record = Program(output, 2, "errors").stage([(0, 1), (8, 1)], are_ok=True).commit()
    check_committed(output, record, 12)
    assert record.counts == {"listed": 12, "ok": 11, "error": 1, "skipped": 0}
    assert record.summary["errors"] == [{"stage": "read", "code": "not_found", "count": 1}]
    assert [(each.how, each.rows) for each in record.publications] == [("new", 12), ("errors", 2)]
    assert record.recovered == 2


def test_a_record_says_how_many_rows_the_last_retry_has_made_good(output: str) -> None:
    assert publish_first(output).recovered is None
    tried = [
        Program(output, number, "errors").stage([(0, 1), (8, 1)], are_ok=are_ok).commit()
        for number, are_ok in ((2, False), (3, True))
    ]
    assert [each.recovered for each in tried] == [0, 2]
    assert RunRecord.from_json(encode_record(tried[-1])) == tried[-1]
    assert Program(output, 4, "append").stage([(12, 2)]).commit().recovered is None


def test_a_retry_reads_and_writes_only_files_that_hold_errors(output: str) -> None:
    first = Program(output, 1).stage([(1, 3), (4, 3), (9, 3)]).commit()
    record = Program(output, 2, "errors").stage([(4, 1)], are_ok=True).commit()
    assert len({file.path for file in first.files} & {file.path for file in record.files}) == 2
    assert record.counts == {"listed": 9, "ok": 9, "error": 0, "skipped": 0}


def test_a_file_of_error_rows_only_goes_when_all_of_them_were_tried_again(output: str) -> None:
    Program(output, 1).stage([(4, 1), (5, 2)]).commit()
    record = Program(output, 2, "errors").stage([(4, 1)], are_ok=True).commit()
    assert record.counts == {"listed": 3, "ok": 3, "error": 0, "skipped": 0}
    assert read_uris(output) == make_uris(7)[4:]
    assert sum(file.rows for file in record.files) == 3


def test_a_retry_of_images_that_did_not_fail_is_not_published(output: str) -> None:
    first = publish_first(output)
    with pytest.raises(PublishError, match="tried 2 images again, but 1 error rows"):
        Program(output, 2, "errors").stage([(0, 2)], are_ok=True).commit()
    assert read_record(join_url(output, "runs", "r1.json")) == first


def test_there_is_nothing_to_retry_where_there_is_no_run(output: str) -> None:
    with pytest.raises(ConfigError, match="no such run"):
        Program(output, 1, "errors")


@pytest.mark.parametrize("how", ["replace", "append", "errors"])
def test_of_two_sessions_from_the_same_record_the_second_is_refused(output: str, how: str) -> None:
    publish_first(output)
    spans = {"replace": [(0, 9)], "append": [(12, 4)], "errors": [(0, 1)]}[how]
    one, two = Program(output, 2, how), Program(output, 3, how)
    one.stage(spans, are_ok=True), two.stage(spans, are_ok=True)
    record = one.commit()
    with pytest.raises((RunExistsError, PublishError), match="another session"):
        two.commit()
    abandon_session(two.session)
    check_committed(output, record, len(read_uris(output)))


def test_a_session_from_the_current_record_is_not_cleared_by_the_one_before_it(output: str) -> None:
    first = Program(output, 1).stage([(0, 12)])
    first.commit()
    second = Program(output, 2, "replace").stage([(0, 9)])
    first.commit()  # its answer was lost, so the runner asks again
    with pytest.raises(RunExistsError):
        begin(output, 3)
    check_committed(output, second.commit(), 9)


@pytest.mark.slow
@pytest.mark.parametrize("after", [True, pytest.param(False, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("how", "spans", "rows"),
    [("replace", [(0, 4), (4, 5)], 9), ("append", [(12, 4)], 16), ("errors", [(0, 1)], 12)],
)
def test_a_death_anywhere_leaves_the_old_record_or_the_new_and_another_session_ends_it(
    output: str, how: str, spans: list[tuple[int, int]], rows: int, after: bool
) -> None:
    for operation in itertools.count():
        place = f"{output}/{operation}"
        old = publish_first(place)
        dying = Program(place, 2, how).stage(spans, are_ok=True)
        FUSE.set(operation, after=after)
        try:
            dying.commit()
            died = False
        except Killed:
            died = True
        FUSE.set(None)
        if not died:
            assert operation > 10
            return
        stands = read_record(join_url(place, "runs", "r1.json"))
        for file in stands.files:
            assert by_url.hash_file(join_url(place, file.path)) == file.sha256
        if stands == old:
            record = Program(place, 3, how).stage(spans, are_ok=True).commit()
        else:
            record = dying.commit()  # what the runner does
        check_committed(place, record, rows)


def test_a_replace_that_died_after_its_commit_is_cleared_by_whoever_is_refused(
    output: str,
) -> None:
    old = publish_first(output)
    dying = Program(output, 2, "replace").stage([(0, 9)])
    record = dying.commit()
    # As if it had been killed right after its record: note and old files are still there.
    write_note(dying.session.folder, dying.session.paths.staging, make_note(dying.session))
    for file in old.files:
        by_url.write_file(join_url(output, file.path), b"old")
    with pytest.raises(RunExistsError):
        begin_session(RUN.make_options(output), [RUN.scoring], STARTED)
    check_committed(output, record, 9)


def test_what_was_abandoned_is_staged_again_once_it_has_begun_again(output: str) -> None:
    """Threads of a job that was stopped are at work until their program ends."""
    session = begin(output)
    abandon_session(session)
    with pytest.raises(PublishError, match="abandoned meanwhile"):
        stage_from(session, [(0, 3)])
    assert list_output(output) == []
    assert len(stage_from(begin(output), [(0, 3)]).files) == 1


def test_what_sessions_of_other_runs_left_is_swept_after_a_week(output: str) -> None:
    dead = Program(output, 1, run=dataclasses.replace(RUN, run_id="dead")).stage([(0, 3)])
    now = datetime.datetime.now(datetime.UTC)
    sweep_sessions(dead.session.folder, now + STALE - datetime.timedelta(hours=1))
    assert dead.session.folder.list_names(dead.session.paths.staging)
    sweep_sessions(dead.session.folder, now + STALE + datetime.timedelta(hours=1))
    assert list_output(output) == []


def test_a_sweep_takes_what_was_moved_and_spares_what_a_record_names(output: str) -> None:
    record = publish_first(output)
    dead = Program(output, 2, "replace").stage([(0, 9)])
    folder, paths = dead.session.folder, dead.session.paths
    final = paths.locate_file(RUN.scoring.model.key, 0, 1)
    write_note(folder, paths.staging, make_note(dead.session, [final]))
    folder.write(final, b"moved")
    sweep_sessions(folder, datetime.datetime.now(datetime.UTC) + 2 * STALE)
    check_committed(output, record, 12)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b'{"base": null, "moved": ["predictions/run_da',
        b"[]",
        b'{"base": null, "replaced": [], "moved": ["../x"]}',
        b'{"base": null, "replaced": [], "moved": ["predictions/run_date=1/model=m/run_id=other/'
        b'part-00000-of-00001.parquet"]}',
        b'{"base": null, "replaced": [], "moved": 7}',
    ],
)
def test_a_note_that_is_cut_short_or_names_other_places_is_not_followed(
    output: str, note: bytes
) -> None:
    bystander = join_url(
        output, "predictions/run_date=1/model=m/run_id=other/part-00000-of-00001.parquet"
    )
    by_url.write_file(bystander, b"x")
    dead = Program(output, 2)
    dead.session.folder.write(f"{dead.session.paths.staging}/{NOTE}", note)
    record = Program(output, 3).stage([(0, 3)]).commit()
    assert by_url.find_size(bystander) == 1
    by_url.remove_files([bystander])
    check_committed(output, record, 3)


def test_a_record_of_nonsense_refuses_to_be_replaced(output: str) -> None:
    publish_first(output)
    by_url.write_file(join_url(output, "runs", "r1.json"), b"{")
    with pytest.raises(RunExistsError):
        Program(output, 2, "replace")


def test_a_record_with_publications_comes_back(output: str) -> None:
    publish_first(output)
    record = Program(output, 2, "append").stage([(12, 8)]).commit()
    assert RunRecord.from_json(encode_record(record)) == record
