"""Jobs that run once: the id says what a job does, so who comes again finds it.

BigQuery takes an id once. A program that died after it began a job begins it again under the same
id, is told that it is there, and waits for it. A job that failed keeps its id for ever, so each try
has a number.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import re
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from imgcls_beam.bigquery import TableName, to_line
from imgcls_beam.errors import PublishError
from imgcls_beam.sinks import RunRecord

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud import bigquery

    Job = bigquery.LoadJob | bigquery.QueryJob

_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
_ATTEMPT_CHARS = 12
_SLUG_CHARS = 64
_DIGEST_CHARS = 16
_PASSING = ("backendError", "internalError", "rateLimitExceeded", "jobRateLimitExceeded")
_OVERTAKEN = "concurrent update"
"""In what the service says to the one of two transactions that it stops; the other goes on."""
_UNFIT = re.compile(r"[^A-Za-z0-9]+", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Loading:
    """One attempt's rows on their way into one table.

    Attributes:
        client: in the table's project.
        table: for the rows.
        output: folder of the published files.
        record: of the run.
    """

    client: "bigquery.Client"
    table: TableName
    output: str
    record: RunRecord

    @property
    def key(self) -> str:
        """Letters, digits and `_`: another one for each table, run and attempt."""
        attempt = _UNFIT.sub("", self.record.attempt)[:_ATTEMPT_CHARS]
        return f"{self._slug}_{attempt}_{self._digest(self.record.attempt)}"

    def follow(self, standing: str) -> str:
        """Another one for each table, run and what stands there: who publishes upon that."""
        return f"{self._slug}_after_{self._digest(standing)}"

    @property
    def _slug(self) -> str:
        return _UNFIT.sub("_", self.record.run_id)[:_SLUG_CHARS]

    def _digest(self, attempt: str) -> str:
        whole = "\0".join((str(self.table), self.record.run_id, attempt))
        return hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST_CHARS]

    @property
    def rows(self) -> int:
        """How many rows the attempt has."""
        return sum(file.rows for file in self.record.files)

    def refuse(self, problem: str) -> PublishError:
        """The error that says why the run was not loaded."""
        return PublishError(f"run {self.record.run_id} was not loaded into {self.table}: {problem}")


def run_job(
    client: "bigquery.Client",
    job_id: str,
    begin: "Callable[[str], Job]",
    spent: Collection[str] = (),
) -> str:
    """Begins a job, or finds the one that was begun, and waits for its end.

    Args:
        client: in the project where the job runs.
        job_id: says what the job does; the number of the try is put behind it.
        begin: begins it under a given id.
        spent: ids of jobs that ended well, and whose work was undone since.

    Returns:
        The id of the job that ended well, with its number.

    Raises:
        GoogleAPICallError: it cannot be done, or fails again and again.
    """
    from google.api_core.exceptions import GoogleAPICallError

    waits_s = iter(_WAITS_S)
    for number in itertools.count():
        numbered = f"{job_id}-{number}"
        job = _find_job(client, numbered)
        if numbered in spent or (job and job.state == "DONE" and job.error_result):
            continue  # an earlier try: whatever was wrong then may be well now
        try:
            job = job or _begin_job(client, numbered, begin)
            job.result()
            return numbered
        except GoogleAPICallError as error:
            wait_s = next(waits_s, None)
            if wait_s is None or not _is_passing(error):
                raise
            time.sleep(wait_s)
    raise AssertionError("the numbers have no end")


def _begin_job(client: "bigquery.Client", job_id: str, begin: "Callable[[str], Job]") -> "Job":
    from google.api_core.exceptions import Conflict

    try:
        return begin(job_id)
    except Conflict:  # begun by another program, or by us: the answer was lost
        job = _find_job(client, job_id)
        if job is None:
            raise
        return job


def _find_job(client: "bigquery.Client", job_id: str) -> "Job | None":
    from google.api_core.exceptions import NotFound

    try:
        return client.get_job(job_id)  # type: ignore[return-value]  # of the kind that was begun
    except NotFound:
        return None


def _is_passing(error: "GoogleAPICallError") -> bool:
    from google.api_core.exceptions import ServerError, TooManyRequests

    reasons = {each.get("reason") for each in error.errors if isinstance(each, dict)}
    if isinstance(error, ServerError | TooManyRequests) or reasons.intersection(_PASSING):
        return True
    return _OVERTAKEN in str(error)


@contextlib.contextmanager
def refuse_failures(loading: Loading) -> Iterator[None]:
    """Turns what the service and the network say into the error of a run that was not loaded.

    Raises:
        PublishError: that.
    """
    import requests.exceptions
    from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except GoogleAPICallError as error:
        raise loading.refuse(f"BigQuery says: {to_line(error.message)}") from error
    except (GoogleAPIError, GoogleAuthError, requests.exceptions.RequestException) as error:
        raise loading.refuse("BigQuery does not answer") from error
