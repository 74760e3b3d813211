"""What a person sees."""

import logging

import pytest

from imgcls_beam.board import BOARD, Progress
from imgcls_beam.sinks.record import RunRecord
from imgcls_beam.sinks.record_parts import RecordedPublication
from imgcls_beam.summary import Summary
from pipelines import display, endings, noise, terminal
from tests.staged import RUN, STARTED


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode 漢字 🐈", "plain, ünïcode 漢字 🐈"),
        ("line\nbreak\ttab\rreturn", "line\\nbreak\\ttab\\rreturn"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("bell\x07 null\x00", "bell\\x07 null\\x00"),
        ("left\u202eright", "left\\u202eright"),
        ("lone \ud800 surrogate", "lone \\ud800 surrogate"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert terminal.escape(text) == shown
    terminal.escape(text).encode()


@pytest.mark.parametrize(
    ("message", "is_kept"),
    [
        ("apitools not found, and so on", False),
        ("Resource module is not available for current platform", False),
        ("the disk is full", True),
    ],
)
def test_warnings_about_packages_that_are_not_needed_are_left_out(
    message: str, is_kept: bool
) -> None:
    record = logging.LogRecord("root", logging.WARNING, "", 0, message, None, None)
    assert noise._is_worth_keeping(record) is is_kept


def test_the_pace_is_of_the_images_that_this_program_looked_at() -> None:
    """A retry of 10 images in a run of 1,000 takes 5 s: that is 2 images/s, not 200."""
    try:
        BOARD.take_over(Progress(ok=8, error=2, first_s=100.0, last_s=105.0))
        assert endings._describe_pace()["images_per_s"] == 2.0
    finally:
        BOARD.reset()
    assert endings._describe_pace()["images_per_s"] is None


def make_retried(rows: int, recovered: int | None) -> RunRecord:
    """A run whose last publication has tried so many rows again, for all who look at it."""
    publication = RecordedPublication("s", "errors", STARTED, STARTED, rows)
    summary = Summary(statuses={"ok": 90, "error": 10}).to_json()
    names = (RUN.run_id, RUN.run_date, "s", "DONE")
    return RunRecord(*names, (), 100, summary, (publication,), recovered=recovered)


def test_what_a_retry_has_changed_is_what_the_record_says() -> None:
    """Whatever the board says, which lags behind where other processes or an engine work."""
    tried = {"tried": 17, "good_now": 8, "still_failing": 10}
    try:
        for seen in (Progress(), Progress(ok=3, error=2)):
            BOARD.take_over(seen)
            assert endings._describe_retry(make_retried(17, 8)) == tried
            assert endings._describe_retry(make_retried(17, None)) is None
            assert endings._describe_retry(make_retried(0, 0)) is None
    finally:
        BOARD.reset()


def test_rows_are_shown_below_their_common_folder() -> None:
    assert display._find_common_folder(["gs://b/a/1.jpg", "gs://b/a/c/2.jpg"]) == "gs://b/a"
    assert display._find_common_folder(["gs://b/1.jpg", "s3://b/1.jpg"]) == ""
    assert display._find_common_folder(["file:///a/b.jpg"]) == "file:///a"


def test_the_pace_fits_a_terminal() -> None:
    run = {"images_per_s": 12345.6, "duration_s": 98765.4}
    slowest = {"slowest_stage": "prepare", "slowest_share": 0.97}
    lines = display._describe_pace({**run, **slowest})
    assert [line.partition(" ")[0] for line in lines] == ["12,345.6", "slowest:"]
    assert max(map(len, lines)) < 80
