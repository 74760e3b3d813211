"""Publishing upon a run that stands: replace, append, errors; on both kinds of store."""

import dataclasses
import datetime
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from imgcls_beam.errors import ConfigError, PublishError, RunExistsError
from imgcls_beam.options import OutputOptions
from imgcls_beam.rows import RunContext
from imgcls_beam.sinks import store
from imgcls_beam.sinks.attempts import (
    STALE,
    check_attempt,
    clear_attempt,
    clear_losers,
    leave_note,
    sweep,
)
from imgcls_beam.sinks.layout import Layout, join
from imgcls_beam.sinks.parts import find_failed_files, merge_part, plan_parts
from imgcls_beam.sinks.publishing import Publication, publish
from imgcls_beam.sinks.record import RunRecord, encode_record, read_record
from imgcls_beam.sinks.succession import Succession, plan_succession
from tests.staged import (
    FUSE,
    RUN,
    STARTED,
    Killed,
    check_committed,
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


def make_options(output: str, run: RunContext = RUN, **changes: Any) -> OutputOptions:
    options = OutputOptions("out", run.run_id, run.run_date, **changes)
    object.__setattr__(options, "output", output)  # no job may write to the tests' own schemes
    return options


@dataclasses.dataclass
class Attempt:
    """One start of the program: what it was begun upon, and what it staged."""

    output: str
    number: int
    how: str = "fail"
    run: RunContext = RUN

    def __post_init__(self) -> None:
        only = "errors" if self.how == "errors" else "all"
        if_exists = "fail" if self.how == "errors" else self.how
        self.options = make_options(
            self.output,
            self.run,
            if_exists=if_exists,
            only=only,
            attempt=f"{self.number:032x}"[::-1],
        )
        self.layout = Layout.of_run(self.options, self.run)
        self.succession = plan_succession(self.options, self.run)
        leave_note(self.layout, self.succession)

    def stage(self, spans: Sequence[tuple[int, int]], are_ok: bool = False) -> "Attempt":
        """Stages one fragment per (first image, images)."""
        fragments = stage_from(self.layout, spans, self.run, are_ok)
        retries = fragments.files if self.how == "errors" else ()
        failed = []
        if retries:
            base = read_record(self.layout.record)
            failed = find_failed_files(self.output, base)
        planned = plan_parts((*fragments.files, *failed), 1, retries=retries)
        self.parts = [merge_part(part, self.layout.staging) for part in planned]
        self.fragments = fragments
        self.listed = sum(rows for _, rows in spans)
        return self

    def publish(self) -> RunRecord:
        publication = Publication(self.run, self.layout, "{}", STARTED, self.succession)
        return publish(self.parts, self.fragments, self.listed, publication)


def publish_first(output: str) -> RunRecord:
    """Images 0 to 11 in three parts; every fourth failed."""
    return Attempt(output, 1).stage([(0, 3), (3, 4), (7, 5)]).publish()


def test_replace_leaves_the_new_rows_and_only_they(output: str) -> None:
    publish_first(output)
    record = Attempt(output, 2, "replace").stage([(0, 9)]).publish()
    check_committed(output, record, 9)
    assert record.counts["listed"] == 9
    assert [each.how for each in record.publications] == ["replace"]


def test_replace_by_another_model_and_day_takes_the_old_files_away(output: str) -> None:
    publish_first(output)
    tomorrow = RUN.run_date + datetime.timedelta(days=1)
    other = dataclasses.replace(OTHER_MODEL, run_date=tomorrow)
    record = Attempt(output, 2, "replace", other).stage([(0, 12)]).publish()
    check_committed(output, record, 12)
    assert all("owner--other" in name for name in list_output(output) if "part-" in name)


def test_replace_of_nothing_is_a_new_run(output: str) -> None:
    record = Attempt(output, 1, "replace").stage([(0, 5)]).publish()
    check_committed(output, record, 5)
    assert [each.how for each in record.publications] == ["new"]


def test_append_adds_rows_counts_and_times(output: str) -> None:
    first = publish_first(output)
    record = Attempt(output, 2, "append").stage([(12, 8)]).publish()
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
        ({"run_date": RUN.run_date + datetime.timedelta(days=1)}, "run_date"),
    ],
)
@pytest.mark.parametrize("how", ["append", "errors"])
def test_rows_of_another_kind_are_not_added(
    output: str, change: dict[str, object], option: str, how: str
) -> None:
    publish_first(output)
    with pytest.raises(ConfigError, match=option) as caught:
        Attempt(output, 2, how, dataclasses.replace(RUN, **change))  # type: ignore[arg-type]
    assert caught.value.option == option


def test_a_retry_takes_the_place_of_the_error_rows_that_it_tried(output: str) -> None:
    publish_first(output)
    record = Attempt(output, 2, "errors").stage([(0, 1), (8, 1)], are_ok=True).publish()
    check_committed(output, record, 12)
    assert record.counts == {"listed": 12, "ok": 11, "error": 1, "skipped": 0}
    assert record.summary["errors"] == [{"stage": "read", "code": "not_found", "count": 1}]
    assert [(each.how, each.rows) for each in record.publications] == [("new", 12), ("errors", 2)]


def test_a_retry_reads_and_writes_only_files_that_hold_errors(output: str) -> None:
    first = Attempt(output, 1).stage([(1, 3), (4, 3), (9, 3)]).publish()
    record = Attempt(output, 2, "errors").stage([(4, 1)], are_ok=True).publish()
    assert len({file.path for file in first.files} & {file.path for file in record.files}) == 2
    assert record.counts == {"listed": 9, "ok": 9, "error": 0, "skipped": 0}


def test_a_file_of_error_rows_only_goes_when_all_of_them_were_tried_again(output: str) -> None:
    Attempt(output, 1).stage([(4, 1), (5, 2)]).publish()
    record = Attempt(output, 2, "errors").stage([(4, 1)], are_ok=True).publish()
    assert record.counts == {"listed": 3, "ok": 3, "error": 0, "skipped": 0}
    assert read_uris(output) == make_uris(7)[4:]
    assert sum(file.rows for file in record.files) == 3


def test_a_retry_of_images_that_did_not_fail_is_not_published(output: str) -> None:
    first = publish_first(output)
    with pytest.raises(PublishError, match="tried 2 images again, but 1 error rows"):
        Attempt(output, 2, "errors").stage([(0, 2)], are_ok=True).publish()
    assert read_record(join(output, "runs", "r1.json")) == first


def test_there_is_nothing_to_retry_where_there_is_no_run(output: str) -> None:
    with pytest.raises(ConfigError, match="no such run"):
        Attempt(output, 1, "errors")


@pytest.mark.parametrize("how", ["replace", "append", "errors"])
def test_of_two_attempts_upon_the_same_record_the_second_has_lost(output: str, how: str) -> None:
    publish_first(output)
    spans = {"replace": [(0, 9)], "append": [(12, 4)], "errors": [(0, 1)]}[how]
    one, two = Attempt(output, 2, how), Attempt(output, 3, how)
    one.stage(spans, are_ok=True), two.stage(spans, are_ok=True)
    record = one.publish()
    with pytest.raises((RunExistsError, PublishError), match="another attempt"):
        two.publish()
    clear_attempt(two.layout)
    check_committed(output, record, len(read_uris(output)))


def test_an_attempt_begun_upon_what_stands_is_not_cleared_by_the_one_before_it(output: str) -> None:
    first = Attempt(output, 1).stage([(0, 12)])
    first.publish()
    second = Attempt(output, 2, "replace").stage([(0, 9)])
    first.publish()  # its answer was lost, so the runner asks again
    clear_losers(output, "r1")
    check_committed(output, second.publish(), 9)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("how", "spans", "rows"),
    [("replace", [(0, 4), (4, 5)], 9), ("append", [(12, 4)], 16), ("errors", [(0, 1)], 12)],
)
def test_a_death_anywhere_leaves_the_old_record_or_the_new_and_another_attempt_ends_it(
    output: str, how: str, spans: list[tuple[int, int]], rows: int, after: bool
) -> None:
    for operation in itertools.count():
        place = f"{output}/{operation}"
        old = publish_first(place)
        dying = Attempt(place, 2, how).stage(spans, are_ok=True)
        FUSE.set(operation, after=after)
        try:
            dying.publish()
            died = False
        except Killed:
            died = True
        FUSE.set(None)
        if not died:
            assert operation > 10
            return
        stands = read_record(join(place, "runs", "r1.json"))
        for file in stands.files:
            assert store.hash_file(join(place, file.path)) == file.sha256
        if stands == old:
            record = Attempt(place, 3, how).stage(spans, are_ok=True).publish()
        else:
            record = dying.publish()  # what the runner does
        check_committed(place, record, rows)


def test_a_replace_that_died_after_its_commit_is_cleared_by_whoever_is_refused(
    output: str,
) -> None:
    old = publish_first(output)
    dying = Attempt(output, 2, "replace").stage([(0, 9)])
    record = dying.publish()
    # As if it had been killed right after its record: note and old files still stand.
    leave_note(
        dying.layout,
        Succession("replace", old.attempt, tuple(file.path for file in old.files)),
    )
    for file in old.files:
        store.write_file(join(output, file.path), b"old")
    with pytest.raises(RunExistsError):
        check_attempt(make_options(output), RUN)
    check_committed(output, record, 9)


def test_what_attempts_of_other_runs_left_is_swept_after_a_week(output: str) -> None:
    dead = Attempt(output, 1, run=dataclasses.replace(RUN, run_id="dead")).stage([(0, 3)])
    now = datetime.datetime.now(datetime.UTC)
    sweep(output, now + STALE - datetime.timedelta(hours=1))
    assert store.list_names(dead.layout.staging)
    sweep(output, now + STALE + datetime.timedelta(hours=1))
    assert list_output(output) == []


def test_a_sweep_takes_what_was_moved_and_spares_what_a_record_names(output: str) -> None:
    record = publish_first(output)
    dead = Attempt(output, 2, "replace").stage([(0, 9)])
    store.write_file(dead.layout.locate_part(0, 1), b"moved")
    sweep(output, datetime.datetime.now(datetime.UTC) + 2 * STALE)
    check_committed(output, record, 12)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b'{"folder": "predictions/run_da',
        b"[]",
        b'{"folder": "..", "tag": "", "base": null, "files": []}',
        b'{"folder": "predictions/run_date=1/model=m/run_id=other", "tag": "", "base": null, '
        b'"files": []}',
    ],
)
def test_a_note_that_is_cut_short_or_names_other_places_is_not_followed(
    output: str, note: bytes
) -> None:
    bystander = join(
        output, "predictions/run_date=1/model=m/run_id=other/part-00000-of-00001.parquet"
    )
    store.write_file(bystander, b"x")
    dead = Attempt(output, 2)
    store.write_file(dead.layout.note, note)
    record = Attempt(output, 3).stage([(0, 3)]).publish()
    assert store.find_size(bystander) == 1
    store.remove_files([bystander])
    check_committed(output, record, 3)


def test_a_record_of_nonsense_refuses_to_be_replaced(output: str) -> None:
    publish_first(output)
    store.write_file(join(output, "runs", "r1.json"), b"{")
    with pytest.raises(RunExistsError):
        Attempt(output, 2, "replace")


def test_a_record_with_publications_comes_back(output: str) -> None:
    publish_first(output)
    record = Attempt(output, 2, "append").stage([(12, 8)]).publish()
    assert RunRecord.from_json(encode_record(record)) == record
