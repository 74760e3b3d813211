"""Access to BigQuery: names of tables, the client, queries, and errors of the service.

The client's library comes with the extra `gcp`, so it is imported where it is used.
`BIGQUERY_EMULATOR_HOST` sends everything to an emulator, which asks for no credentials.
"""

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from imgcls_beam.errors import ConfigError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud import bigquery
    from google.cloud.bigquery.table import RowIterator

EMULATOR = "BIGQUERY_EMULATOR_HOST"
OUTPUT_OPTION = "output_table"
LOOK_UP_S = 30.0
"""Limit for questions before a job begins; the library's own 600 s would hide a bad network."""

_NAME = re.compile(
    r"((?:[a-z0-9.-]+:)?[a-z0-9][a-z0-9-]*)\.([A-Za-z0-9_]{1,1024})\.([A-Za-z0-9_-]{1,900})",
    re.ASCII,
)
_INSTALL = "BigQuery's client is not installed; pip install google-cloud-bigquery"
_NO_CREDENTIALS = (
    "there are no usable Google credentials; run `gcloud auth application-default login`, or name "
    "a service account's file in GOOGLE_APPLICATION_CREDENTIALS"
)


@dataclasses.dataclass(frozen=True, slots=True)
class TableName:
    """The name of a table: `project.dataset.table`."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        """As SQL has it between backquotes."""
        return f"{self.project}.{self.dataset}.{self.table}"

    @property
    def runs(self) -> "TableName":
        """The table of runs beside it: `prediction_runs` for `predictions`, else `<table>_runs`."""
        named = "prediction_runs" if self.table == "predictions" else f"{self.table}_runs"
        return self.beside(named)

    def beside(self, table: str) -> "TableName":
        """Another table of the same dataset."""
        return dataclasses.replace(self, table=table)


def parse_table(text: str, option: str = OUTPUT_OPTION) -> TableName:
    """Parses `project.dataset.table`.

    Raises:
        ConfigError: it is no such name; the error names the option.
    """
    match = _NAME.fullmatch(text)
    if match is None:
        problem = (
            "give project.dataset.table; a project has small letters, digits and hyphens, a "
            "dataset letters, digits and underscores, a table hyphens too"
        )
        raise ConfigError(option, text, problem)
    return TableName(*match.groups())


def connect(option: str, name: TableName) -> "bigquery.Client":
    """A client that runs its jobs in the table's project, where its dataset lies.

    The table need not be there.

    Raises:
        ConfigError: no client, no credentials, no such dataset, or no answer.
    """
    credentials = _find_credentials(option, name)
    from imgcls_beam.bigquery_client import PatientBigQuery

    asking = PatientBigQuery(project=name.project, credentials=credentials)
    try:
        with refuse_faults(option, str(name)):
            dataset = asking.get_dataset(f"{name.project}.{name.dataset}", **look_up())
    except FileNotFoundError as error:
        problem = f"there is no such dataset; bq mk --dataset {name.project}:{name.dataset}"
        raise ConfigError(option, str(name), problem) from error
    return PatientBigQuery(project=name.project, credentials=credentials, location=dataset.location)


def run_query(
    client: "bigquery.Client",
    sql: str,
    values: Mapping[str, str | int],
    page_rows: int | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Runs a query as a job and gives its rows, page by page.

    Not `query_and_wait`: what the emulator of the tests answers to it hides errors.

    Args:
        client: in the project where the job runs.
        sql: with names of parameters as `@name`.
        values: of the parameters, by name; BigQuery has none that is null of any type.
        page_rows: rows of one answer; None leaves it to BigQuery.
    """
    from google.cloud.bigquery import QueryJobConfig, ScalarQueryParameter

    from imgcls_beam.bigquery_client import retry_job

    kinds = {name: "STRING" if isinstance(each, str) else "INT64" for name, each in values.items()}
    bound = [ScalarQueryParameter(name, kind, values[name]) for name, kind in kinds.items()]
    config = QueryJobConfig(query_parameters=bound)

    def ask() -> "RowIterator":
        return client.query(sql, job_config=config, job_retry=None).result(page_size=page_rows)

    for row in retry_job(ask):
        yield row.values()


def look_up() -> dict[str, Any]:
    """Keywords of the client's methods for a question that should be answered soon."""
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return {"retry": DEFAULT_RETRY.with_timeout(LOOK_UP_S), "timeout": LOOK_UP_S}


@contextlib.contextmanager
def refuse_faults(option: str, value: str) -> Iterator[None]:
    """Turns what the service refuses into errors of this option.

    Raises:
        FileNotFoundError: what was asked for is not there.
        ConfigError: it may not be done, it makes no sense to the service, or there is no answer.
    """
    import requests.exceptions
    from google.api_core import exceptions as faults
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except faults.NotFound as error:
        raise FileNotFoundError(value) from error
    except (faults.Forbidden, faults.Unauthorized) as error:
        problem = "BigQuery does not allow it; check your rights to the table and to run jobs"
        raise ConfigError(option, value, problem) from error
    except faults.ClientError as error:
        problem = f"BigQuery refuses it: {to_line(error.message)}"
        raise ConfigError(option, value, problem) from error
    except GoogleAuthError as error:
        raise ConfigError(option, value, _NO_CREDENTIALS) from error
    except (faults.GoogleAPIError, requests.exceptions.RequestException) as error:
        problem = "BigQuery does not answer; check the network, or try again"
        raise ConfigError(option, value, problem) from error


def to_line(message: object) -> str:
    """The first line of what the service says, without addresses."""
    text = str(message).strip().partition("\n")[0]
    return re.sub(r"^(?:GET|POST|PUT|PATCH|DELETE) \S+: ", "", text)


def quote_text(text: str) -> str:
    """A literal of GoogleSQL with this value; all escapes of JSON are its escapes too."""
    return json.dumps(text, ensure_ascii=False)


def _find_credentials(option: str, name: TableName) -> "Credentials":
    try:
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.bigquery import Client
    except ImportError as error:
        raise ConfigError(option, str(name), _INSTALL) from error
    if os.environ.get(EMULATOR):
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    try:
        credentials, _ = google.auth.default(scopes=Client.SCOPE)
    except GoogleAuthError as error:
        raise ConfigError(option, str(name), _NO_CREDENTIALS) from error
    return credentials
