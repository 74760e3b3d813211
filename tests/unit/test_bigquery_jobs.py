"""Jobs that run once, on a small job service that keeps BigQuery's rules: the emulator does not."""

import dataclasses
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound

from imgcls_beam.warehouse import bigquery_jobs
from imgcls_beam.warehouse.bigquery_jobs import run_job

PASSING = {"reason": "backendError", "message": "try again"}
LASTING = {"reason": "invalid", "message": "no such column"}
OVERTAKEN = {"reason": "invalidQuery", "message": "Transaction is aborted due to concurrent update"}


@dataclasses.dataclass
class Job:
    """A job that is over, well or with an error."""

    error_result: dict[str, str] | None = None
    state: str = "DONE"

    def result(self) -> None:
        if self.error_result:
            raise BadRequest(self.error_result["message"], errors=[self.error_result])


class Service:
    """Takes an id once and for ever.

    Attributes:
        errors: of the next jobs, one after the other; None for a job that ends well.
        jobs: by their id.
        loses: how many answers to a beginning are lost, though the job began.
    """

    def __init__(self, *errors: dict[str, str] | None, loses: int = 0) -> None:
        self.errors = list(errors)
        self.jobs: dict[str, Job] = {}
        self.loses = loses

    def get_job(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise NotFound(job_id)
        return self.jobs[job_id]

    def begin(self, job_id: str) -> Any:
        if job_id in self.jobs:
            raise Conflict(job_id)
        self.jobs[job_id] = Job(self.errors.pop(0))
        if self.loses:
            self.loses -= 1
            return self.begin(job_id)  # as the client's library does when no answer comes
        return self.jobs[job_id]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bigquery_jobs, "_WAITS_S", (0.0,) * 3)


def run(service: Service) -> None:
    client: Any = service
    run_job(client, "load", service.begin)


def test_a_job_that_was_begun_is_not_begun_again() -> None:
    service = Service(None)
    run(service)
    run(service)
    assert list(service.jobs) == ["load-0"]


def test_a_lost_answer_begins_no_second_job() -> None:
    service = Service(None, loses=1)
    run(service)
    assert list(service.jobs) == ["load-0"]


def test_a_job_that_another_program_began_meanwhile_is_waited_for() -> None:
    service = Service(None)
    begun = []

    def begin_late(job_id: str) -> Any:
        service.begin(job_id)  # the other program
        begun.append(job_id)
        return service.begin(job_id)

    client: Any = service
    run_job(client, "load", begin_late)
    assert begun == list(service.jobs) == ["load-0"]


@pytest.mark.parametrize("error", [PASSING, OVERTAKEN])
def test_what_passes_is_tried_again_under_another_id(error: dict[str, str]) -> None:
    service = Service(error, error, None)
    run(service)
    assert list(service.jobs) == ["load-0", "load-1", "load-2"]


def test_what_lasts_is_said_at_once() -> None:
    service = Service(LASTING, None)
    with pytest.raises(GoogleAPICallError, match="no such column"):
        run(service)
    assert list(service.jobs) == ["load-0"]


def test_a_later_call_tries_anew_whatever_failed_before() -> None:
    service = Service(LASTING, None)
    with pytest.raises(GoogleAPICallError):
        run(service)
    run(service)
    assert list(service.jobs) == ["load-0", "load-1"]


def test_what_fails_again_and_again_is_said_in_the_end() -> None:
    service = Service(*[PASSING] * 9)
    with pytest.raises(GoogleAPICallError, match="try again"):
        run(service)
    assert len(service.jobs) == 4


def test_work_that_was_undone_is_done_again() -> None:
    service = Service(None, None)
    client: Any = service
    spent = {run_job(client, "publish", service.begin)[0]}
    assert run_job(client, "publish", service.begin, spent) == ("publish-1", True)
    assert run_job(client, "publish", service.begin, spent) == ("publish-1", False)
    assert list(service.jobs) == ["publish-0", "publish-1"]
