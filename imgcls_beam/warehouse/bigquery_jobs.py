"""Jobs that run once: the id of a job says what it does, so a program that comes again finds it.

BigQuery takes a job's id once. A program that died after it began a job begins it again under the
same id, is told that the job exists, and waits for it. A job that failed keeps its id for ever, so
each try has a number.
"""

import itertools
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud import bigquery

    Job = bigquery.LoadJob | bigquery.QueryJob

_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
_PASSING = ("backendError", "internalError", "rateLimitExceeded", "jobRateLimitExceeded")
_CONFLICT = "concurrent update"
"""In the message to one of two transactions that collide: BigQuery stops it, the other goes on."""


def run_job(
    client: "bigquery.Client",
    job_id: str,
    begin: "Callable[..., Job]",
    spent: Collection[str] = (),
) -> tuple[str, bool]:
    """Begins a job, or finds the one that was begun, and waits for its end.

    Args:
        client: in the project where the job runs.
        job_id: says what the job does; the number of the try is put behind it.
        begin: begins it; takes its id as the keyword `job_id`.
        spent: ids of jobs that ended well, but whose work was undone since.

    Returns:
        The id of the job that ended well, with its number, and whether this call began it.

    Raises:
        GoogleAPICallError: it cannot be done, or fails again and again.
    """
    from google.api_core.exceptions import GoogleAPICallError

    waits_s = iter(_WAITS_S)
    for number in itertools.count():
        numbered = f"{job_id}-{number}"
        found = _find_job(client, numbered)
        if numbered in spent or (found and found.state == "DONE" and found.error_result):
            continue  # the cause of an earlier failure may be gone
        try:
            job, was_begun = (found, False) if found else _begin_job(client, numbered, begin)
            job.result()
            return numbered, was_begun
        except GoogleAPICallError as error:
            wait_s = next(waits_s, None)
            if wait_s is None or not _is_passing(error):
                raise
            time.sleep(wait_s)
    raise AssertionError("the numbers have no end")


def _begin_job(
    client: "bigquery.Client", job_id: str, begin: "Callable[..., Job]"
) -> "tuple[Job, bool]":
    from google.api_core.exceptions import Conflict

    try:
        return begin(job_id=job_id), True
    except Conflict:  # another program began it, or this one did and the answer was lost
        job = _find_job(client, job_id)
        if job is None:
            raise
        return job, False


def _find_job(client: "bigquery.Client", job_id: str) -> "Job | None":
    from google.api_core.exceptions import NotFound

    try:
        return client.get_job(job_id)  # type: ignore[return-value]  # of the kind that was begun
    except NotFound:
        return None


def _is_passing(error: "GoogleAPICallError") -> bool:
    from google.api_core.exceptions import ServerError, TooManyRequests

    reasons = {each.get("reason") for each in error.errors if isinstance(each, dict)}
    is_passing = isinstance(error, ServerError | TooManyRequests) or not reasons.isdisjoint(
        _PASSING
    )
    return is_passing or _CONFLICT in str(error)
