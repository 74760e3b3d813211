"""One session that loads its rows into one table, and the names of what it makes there."""

import contextlib
import dataclasses
import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imgcls_beam.bigquery import TableName, to_line
from imgcls_beam.errors import PublishError
from imgcls_beam.sinks import RunRecord
from imgcls_beam.stores.folder import Folder

if TYPE_CHECKING:
    from google.cloud import bigquery

_SLUG_CHARS = 64
_DIGEST_CHARS = 16
_UNFIT = re.compile(r"[^A-Za-z0-9]+", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class BigQuerySession:
    """A start of the program that loads its published run into a table.

    Attributes:
        client: in the table's project.
        table: for the rows; the run's row goes into the table beside it.
        folder: of the published files.
        record: of the run.
    """

    client: "bigquery.Client"
    table: TableName
    folder: Folder
    record: RunRecord

    @property
    def rows(self) -> int:
        """How many rows the files hold."""
        return sum(file.rows for file in self.record.files)

    def make_key(self, session_id: str) -> str:
        """Letters, digits and `_`: another key for each table, run and session."""
        named = "\0".join((str(self.table), self.record.run_id, session_id))
        digest = hashlib.sha256(named.encode()).hexdigest()[:_DIGEST_CHARS]
        return f"{_UNFIT.sub('_', self.record.run_id)[:_SLUG_CHARS]}_{digest}"

    def refuse(self, problem: str) -> PublishError:
        """The error that says why the run was not loaded."""
        return PublishError(f"run {self.record.run_id} was not loaded into {self.table}: {problem}")

    @contextlib.contextmanager
    def refuse_faults(self) -> Iterator[None]:
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
            raise self.refuse(f"BigQuery says: {to_line(error.message)}") from error
        except (GoogleAPIError, GoogleAuthError, requests.exceptions.RequestException) as error:
            raise self.refuse("BigQuery does not answer") from error
