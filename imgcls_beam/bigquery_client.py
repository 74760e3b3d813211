"""Google's client of BigQuery, with a deadline on every request and retries that come to an end.

As it is installed it bears a silence of any length, and asks for ten minutes again what fails. A
job that runs is waited for as long as it says that it runs.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from google.cloud.bigquery import Client
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

_AnswerT = TypeVar("_AnswerT")

REQUEST_S = 60.0
"""Without a byte of an answer."""
RETRY_S = 120.0
"""After its first try a request is begun no more."""
UPLOAD_RETRIES = 2
"""Of each piece of a file that is uploaded."""


class PatientBigQuery(Client):
    """BigQuery, with the patience of this module."""

    def _call_api(self, retry: Any, *args: Any, timeout: Any = None, **kwargs: Any) -> Any:  # noqa: ANN401
        """Every request but those of uploads; who wants a shorter limit gives it."""
        limit_s = min(timeout, REQUEST_S) if isinstance(timeout, int | float) else REQUEST_S
        if retry is not None:
            retry = retry.with_timeout(min(retry.timeout or RETRY_S, RETRY_S))
        return super()._call_api(retry, *args, timeout=limit_s, **kwargs)

    def _do_resumable_upload(
        self,
        stream: Any,  # noqa: ANN401
        metadata: Any,  # noqa: ANN401
        num_retries: Any,  # noqa: ANN401
        timeout: Any,  # noqa: ANN401
        project: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """A file, piece by piece."""
        del num_retries, timeout
        limits = UPLOAD_RETRIES, REQUEST_S
        return super()._do_resumable_upload(stream, metadata, *limits, project=project)


def retry_job(run: Callable[[], _AnswerT]) -> _AnswerT:
    """Runs a job again while it fails for a reason that may pass, by Google's own judgement.

    The client's own retries of a query go on for 40 minutes.
    """
    answer: _AnswerT = DEFAULT_JOB_RETRY.with_timeout(RETRY_S)(run)()
    return answer
