"""A worker that dies is heard of, and ends its run where the service would wait for ever."""

import argparse
import socket
import threading

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState
from apache_beam.testing.util import assert_that, equal_to

from imgcls_beam import liveness
from pipelines import worker_watch

LONG_S, SHORT_S = 300.0, 0.05
"""For what comes, however busy a machine is; and for what never comes."""
OWN, OF_PRISM = "job-8dd730c3-e574-4822-88b9-f4fa7f851845", "job-001"


def test_a_worker_that_ends_is_heard_of_and_nobody_else() -> None:
    deaths: list[None] = []
    heard = threading.Event()

    def hear() -> None:
        deaths.append(None)
        heard.set()

    with liveness.hear_of_deaths(hear) as step:
        for said in (b"", b"no", b"x" * len(step.token)):
            with socket.create_connection(("127.0.0.1", step.port)) as stranger:
                stranger.sendall(said)
                stranger.shutdown(socket.SHUT_WR)
                assert stranger.recv(1) == b"", "it is sent away"
        with socket.create_connection(("127.0.0.1", step.port)) as worker:
            worker.sendall(step.token.encode())
            assert not heard.wait(SHORT_S), "it lives"
        assert heard.wait(LONG_S)
    assert len(deaths) == 1


class _Job:
    def __init__(self, name: str, state: str | None) -> None:
        self._job_id, self._state = name, state

    @property
    def state(self) -> str:
        if self._state is None:
            raise ConnectionError("gone")
        return self._state


@pytest.mark.parametrize(
    ("job", "ends"),
    [
        (_Job(OWN, PipelineState.RUNNING), True),
        (_Job(OWN, PipelineState.DONE), False),
        (_Job(OWN, PipelineState.FAILED), False),
        (_Job(OWN, None), False),
        (_Job(OF_PRISM, PipelineState.RUNNING), False),
    ],
    ids=["waits", "done", "failed", "service gone", "Prism"],
)
def test_a_dead_worker_ends_the_run_where_its_service_waits(
    job: _Job, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(worker_watch, "stop_process", said.append)
    worker_watch._look(argparse.Namespace(result=job), threading.Event(), SHORT_S)
    assert len(said) == ends


@pytest.mark.parametrize("job", [_Job(OWN, PipelineState.RUNNING), None], ids=["begun", "not"])
def test_a_run_that_is_over_is_not_ended(job: _Job | None, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(worker_watch, "stop_process", said.append)
    is_over = threading.Event()
    is_over.set()
    worker_watch._look(argparse.Namespace(result=job), is_over, LONG_S)
    assert not said


def test_a_worker_that_dies_before_the_service_has_named_its_job_ends_the_run_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(worker_watch, "stop_process", lambda _: ended.set())
    seen = argparse.Namespace(result=None)
    look = threading.Thread(target=worker_watch._look, args=(seen, threading.Event(), SHORT_S))
    look.start()
    assert not ended.wait(SHORT_S)
    seen.result = _Job(OWN, PipelineState.RUNNING)
    assert ended.wait(LONG_S)
    look.join()


@pytest.mark.parametrize(
    ("flags", "has_step"),
    [
        (["--job_endpoint=h:1", "--environment_type=EXTERNAL", "--environment_config=h:2"], True),
        (["--job_endpoint=h:1"], True),
        (["--job_endpoint=h:1", "--environment_type=LOOPBACK"], False),
        (
            [
                *("--job_endpoint=h:1", "--environment_type=LOOPBACK"),
                "--experiments=use_loopback_process_worker",
            ],
            True,
        ),
        (["--runner=FnApiRunner"], False),
        (["--runner=PrismRunner"], False),
    ],
    ids=["pool", "default", "threads", "processes", "local", "Prism"],
)
def test_workers_connect_where_they_are_processes_of_a_service(
    flags: list[str], has_step: bool
) -> None:
    with worker_watch.watch_workers(PipelineOptions(flags)) as (connect, _):
        assert (connect is not None) == has_step


def test_elements_wait_for_the_connection_and_are_passed_on() -> None:
    deaths = threading.Event()
    with (
        liveness.hear_of_deaths(deaths.set) as connect,
        beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline,
    ):
        passed_on = pipeline | beam.Create([1, 2, 3]) | connect
        assert_that(passed_on, equal_to([1, 2, 3]))
        assert_that(
            passed_on | beam.Map(_count_connections), equal_to([1, 1, 1]), label="Connected"
        )
    liveness._connected.pop().close()
    assert not deaths.is_set(), "the run was over"


def _count_connections(_: int) -> int:
    return len(liveness._connected)
