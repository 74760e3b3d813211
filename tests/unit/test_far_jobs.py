"""Jobs that a service runs: cancelled, waited for, and said of what is known."""

import argparse
import functools
import pathlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from imgcls_beam.board import Progress
from imgcls_beam.errors import GoesOnError, PublishError
from imgcls_beam.options import OutputOptions
from imgcls_beam.sinks import Session, commit, give_up, leftovers
from imgcls_beam.sinks.commit import commit_session
from imgcls_beam.sinks.leftovers import Note, write_note
from imgcls_beam.sinks.session import abandon_session, make_note
from imgcls_beam.sinks.staged_files import StagedFiles
from imgcls_beam.stores.folder import Folder
from imgcls_beam.time_limits import ask_within
from pipelines import far_jobs, far_progress, held_signals, run_failures
from pipelines.runners import make_pipeline
from tests.staged import RUN, begin, empty_stores

ELSEWHERE = PipelineOptions(["--job_endpoint=host:1", "--environment_type=EXTERNAL"])
HERE = PipelineOptions(["--job_endpoint=host:1", "--environment_type=LOOPBACK"])


class Job:
    """What a portable runner gives, of a service that does as it is told or does not."""

    _job_id = "job-7"

    def __init__(self, *states: str, cancels: bool = True, answers: bool = True) -> None:
        self.states, self.cancels, self.answers = list(states), cancels, answers
        self.was_cancelled = threading.Event()

    def cancel(self) -> None:
        self.was_cancelled.set()
        if not self.cancels:
            raise NotImplementedError

    @property
    def state(self) -> str:
        if not self.answers:
            raise ConnectionError("gone")
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def wait_until_finish(self) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def session(tmp_path: pathlib.Path) -> Session:
    return begin(str(tmp_path / "out"), 1, RUN)


LONG_S, SHORT_S = 300.0, 0.1
"""For what comes, however busy a machine is; and for what never comes."""


def cancel(
    job: Job, rows: Session | None = None, *, limit_s: float = LONG_S, is_needed: bool = False
) -> bool:
    return far_jobs.cancel_job(job, rows, is_needed=is_needed, limit_s=limit_s, look_s=0.01)


@pytest.mark.parametrize("state", [PipelineState.CANCELLED, PipelineState.FAILED])
def test_a_job_that_is_cancelled_has_ended_once_its_service_says_so(state: str) -> None:
    job = Job(PipelineState.RUNNING, PipelineState.CANCELLING, state)
    assert cancel(job)
    assert job.was_cancelled.is_set()


@pytest.mark.parametrize(
    "job",
    [Job(PipelineState.RUNNING), Job(PipelineState.RUNNING, cancels=False), Job("", answers=False)],
    ids=["does not end", "cannot cancel", "does not answer"],
)
def test_a_job_goes_on_where_its_service_does_not_say_that_it_has_ended(job: Job) -> None:
    assert not cancel(job, limit_s=SHORT_S)
    assert cancel(job, limit_s=SHORT_S, is_needed=True), "its workers end with this program"


def test_a_job_that_is_about_to_publish_is_waited_for(session: Session) -> None:
    job = Job(PipelineState.CANCELLED)
    write_note(session.folder, session.paths.staging, make_note(session, ["predictions/x"]))
    assert cancel(job, session), "a note that names another run's files is not believed"
    moved = [session.paths.locate_file(RUN.model_key, 0, 1)]
    write_note(session.folder, session.paths.staging, make_note(session, moved))
    assert not cancel(job, session, limit_s=SHORT_S)
    abandon_session(session)
    assert cancel(job, session)


def test_a_session_that_was_given_up_never_commits(session: Session) -> None:
    """As a service does that says CANCELLED and goes on."""
    abandon_session(session)
    with pytest.raises(PublishError, match="given up meanwhile"):
        commit_session([], StagedFiles(), 0, session)
    assert not session.folder.list_names("runs")


@pytest.fixture
def elsewhere() -> Iterator[Session]:
    """Of a store without locks, whose note is swapped."""
    empty_stores()
    yield begin("mortalbucket://out", 1, RUN)
    empty_stores()


def test_who_gives_a_session_up_while_it_begins_to_commit_wins_or_waits(
    elsewhere: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = commit.read_note_with_etag

    def read_and_lose(folder: Folder, staging: str) -> tuple[Note | None, str | None]:
        found = read(folder, staging)
        assert give_up(elsewhere), "between the look and the write"
        return found

    monkeypatch.setattr(commit, "read_note_with_etag", read_and_lose)
    with pytest.raises(PublishError, match="given up meanwhile"):
        commit_session([], StagedFiles(), 0, elsewhere)
    assert not elsewhere.folder.list_names("runs")


def test_a_session_that_has_begun_to_commit_is_not_given_up(
    elsewhere: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = leftovers.read_note_with_etag
    folder, paths = elsewhere.folder, elsewhere.paths

    def read_and_lose(*asked: Any) -> tuple[Note | None, str | None]:
        found = read(*asked)
        moved = [paths.locate_file(RUN.model_key, 0, 1)]
        write_note(folder, paths.staging, make_note(elsewhere, moved))
        return found

    monkeypatch.setattr(leftovers, "read_note_with_etag", read_and_lose)
    assert not leftovers.give_up_note(folder, paths.staging)
    monkeypatch.undo()
    note = leftovers.read_note(folder, paths.staging)
    assert note is not None and note.moved and not note.is_given_up


def test_an_interrupt_of_responses_alone_says_that_they_may_still_be_written() -> None:
    for options, said in ((ELSEWHERE, "may still write r.jsonl"), (HERE, "nothing was published")):
        pipeline: Any = _Pipeline(options, Job(PipelineState.CANCELLED))
        with pytest.raises(KeyboardInterrupt, match=said):
            run_failures.run_to_end(pipeline, None, None, OutputOptions(None, jsonl="r.jsonl"), ())


class _Submission:
    """A pipeline that is interrupted while it is submitted."""

    def __init__(self, options: PipelineOptions, signals: int) -> None:
        self.options, self.signals, self.is_submitted = options, signals, False

    def run(self) -> Any:
        for _ in range(self.signals):
            signal.raise_signal(signal.SIGINT)
        self.is_submitted = True
        return Job(PipelineState.CANCELLED)


@pytest.mark.parametrize(
    ("options", "signals", "is_submitted", "said"),
    [
        (ELSEWHERE, 1, True, "the job was cancelled, nothing was published"),
        (ELSEWHERE, 2, False, "which may run it all the same; nothing was published"),
        (HERE, 1, False, "^$"),
    ],
    ids=["waits", "again", "ends with the program"],
)
def test_an_interrupt_waits_until_the_name_of_the_job_is_known(
    options: PipelineOptions, signals: int, is_submitted: bool, said: str, session: Session
) -> None:
    pipeline: Any = _Submission(options, signals)
    with pytest.raises(KeyboardInterrupt, match=said):
        run_failures.run_to_end(pipeline, session, None, OutputOptions("out"), ())
    assert pipeline.is_submitted is is_submitted


class _Gone(grpc.RpcError):  # type: ignore[misc]  grpc has no types
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE


class _LostSubmission:
    """A pipeline whose service goes, or which is interrupted, before the job has a name."""

    def __init__(self, options: PipelineOptions, error: BaseException) -> None:
        self.options, self.error = options, error

    def run(self) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("has_rows", "said"),
    [
        (
            True,
            "while the job was handed to its service, which may run it all the same; "
            "nothing was published, and nothing of that job can be",
        ),
        (
            False,
            "while the job was handed to its service, which may run it all the same and "
            "write r.jsonl: look there before the same command is started",
        ),
    ],
    ids=["rows", "responses alone"],
)
@pytest.mark.parametrize(
    ("error", "kind", "what"),
    [
        (_Gone(), PublishError, "the service stopped answering"),
        (KeyboardInterrupt(), KeyboardInterrupt, "interrupted"),
    ],
    ids=["gone", "interrupted"],
)
def test_a_job_that_has_no_name_yet_may_run_all_the_same(
    has_rows: bool,
    said: str,
    error: BaseException,
    kind: type[BaseException],
    what: str,
    session: Session,
) -> None:
    pipeline: Any = _LostSubmission(ELSEWHERE, error)
    rows, output = (session, "out") if has_rows else (None, None)
    with pytest.raises(kind) as told:
        run_failures.run_to_end(pipeline, rows, None, OutputOptions(output, jsonl="r.jsonl"), ())
    assert str(told.value) == f"{what} {said}"


def test_a_service_that_goes_before_the_job_has_a_name_ends_with_workers_of_this_program() -> None:
    pipeline: Any = _LostSubmission(HERE, _Gone())
    with pytest.raises(PublishError, match="the job service stopped answering"):
        run_failures.run_to_end(pipeline, None, None, OutputOptions("out"), ())


def test_an_interrupt_does_not_wait_for_a_service_that_never_answers() -> None:
    with pytest.raises(KeyboardInterrupt), held_signals.hold_signals(limit_s=SHORT_S):
        signal.raise_signal(signal.SIGINT)
        threading.Event().wait(LONG_S)


def test_signals_are_as_before_once_they_are_held_no_more() -> None:
    before = signal.getsignal(signal.SIGINT)
    with held_signals.hold_signals():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


class _Pipeline:
    def __init__(self, options: PipelineOptions, job: Any) -> None:
        self.options, self._job = options, job

    def run(self) -> Any:
        return self._job


def interrupt(job: Job, rows: Session, options: PipelineOptions) -> None:
    pipeline: Any = _Pipeline(options, job)
    run_failures.run_to_end(pipeline, rows, None, OutputOptions("out"), ())


def test_who_watches_is_told_of_a_job_that_has_begun() -> None:
    job, told = Job(PipelineState.CANCELLED), list[object]()
    pipeline: Any = _Pipeline(HERE, job)
    with pytest.raises(KeyboardInterrupt):
        run_failures.run_to_end(pipeline, None, None, OutputOptions("out"), (told.append,) * 2)
    assert told == [job, job]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that does not end is not waited for."""

    def cancel_soon(job: Job, rows: Session, **more: bool) -> bool:
        is_over = job.states != [PipelineState.RUNNING]
        return cancel(job, rows, limit_s=LONG_S if is_over else SHORT_S, **more)

    monkeypatch.setattr(run_failures, "cancel_job", cancel_soon)


def test_a_cancelled_job_that_died_while_it_moved_files_does_not_go_on(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run_failures, "cancel_job", functools.partial(far_jobs.cancel_job, limit_s=SHORT_S)
    )
    moved = [session.paths.locate_file(RUN.model_key, 0, 1)]
    write_note(session.folder, session.paths.staging, make_note(session, moved))
    with pytest.raises(GoesOnError) as told:
        interrupt(Job(PipelineState.CANCELLED), session, ELSEWHERE)
    assert "job-7 of the job service at host:1 has ended" in str(told.value)
    assert "goes on" not in str(told.value)


@pytest.mark.usefixtures("soon")
def test_an_interrupt_cancels_and_says_which_of_the_three_it_is(
    session: Session, tmp_path: pathlib.Path
) -> None:
    other = begin(str(tmp_path / "other"), 2, RUN)
    with pytest.raises(KeyboardInterrupt, match="the job was cancelled, nothing was published"):
        interrupt(Job(PipelineState.CANCELLED), session, ELSEWHERE)
    with pytest.raises(GoesOnError) as stays:
        interrupt(Job(PipelineState.RUNNING), session, ELSEWHERE)
    assert str(stays.value).startswith(
        "interrupted, but job job-7 of the job service at host:1 goes on: "
    )
    with pytest.raises(KeyboardInterrupt, match="the job was cancelled"):
        interrupt(Job(PipelineState.RUNNING), session, HERE)
    commit_session([], StagedFiles(), 0, other)
    interrupt(Job(PipelineState.RUNNING), other, ELSEWHERE)  # published: no failure


def test_a_job_whose_workers_are_here_needs_this_program() -> None:
    assert far_jobs.needs_program(HERE)
    assert far_jobs.needs_program(PipelineOptions(["--runner=PrismRunner"]))
    assert not far_jobs.needs_program(ELSEWHERE)
    assert far_jobs.needs_program(PipelineOptions(["--runner=FlinkRunner"]))
    assert not far_jobs.needs_program(PipelineOptions(["--flink_master=host:8081"]))
    assert not far_jobs.needs_program(PipelineOptions(["--job_endpoint=host:1"]))


def test_what_never_comes_back_is_not_waited_for() -> None:
    with pytest.raises(TimeoutError):
        ask_within(0.05, threading.Event().wait)
    with pytest.raises(ZeroDivisionError):
        ask_within(60, lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert ask_within(60, lambda: 7) == 7


def test_progress_comes_from_the_counters_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Progress(listed=9, ok=4, error=1)
    monkeypatch.setattr(far_progress, "_ASK_S", 0.01)
    monkeypatch.setattr(far_progress, "read_progress", lambda result: counted)
    far = argparse.Namespace(state=None, counted=Progress())
    with far_progress.follow_job(far) as watch:
        watch(Job(PipelineState.RUNNING))
        while far.counted is not counted:
            threading.Event().wait(0.01)
    assert far.state == PipelineState.RUNNING


def test_beam_checks_its_options_before_anything_is_begun() -> None:
    assert make_pipeline(PipelineOptions(["--runner=FnApiRunner"])) is not None
