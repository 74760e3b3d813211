"""What the tables hold under a run id. A job asks this once when it begins, and hands it on."""

import contextlib
import dataclasses
import datetime
from typing import TYPE_CHECKING

from imgcls_beam.bigquery import OUTPUT_OPTION, TableName, connect, refuse_faults, run_query

if TYPE_CHECKING:
    from google.cloud import bigquery

_CURRENT = """
SELECT attempt, run_date, finished_at FROM `{runs}` WHERE run_id = @run_id
ORDER BY finished_at, attempt
"""


@dataclasses.dataclass(frozen=True, slots=True)
class CurrentRun:
    """The run in the tables.

    Attributes:
        session_id: start of the program that published it; empty where there is no such run.
        run_dates: the partitions of its rows.
        finished_at: when its record was made; None where there is no such run.
    """

    session_id: str = ""
    run_dates: tuple[datetime.date, ...] = ()
    finished_at: datetime.datetime | None = None


def find_run(name: TableName, run_id: str) -> CurrentRun:
    """Finds a run in the tables; nothing is in tables that are not there.

    Raises:
        ConfigError: there is no such dataset, or BigQuery does not answer.
    """
    client = connect(OUTPUT_OPTION, name)
    with contextlib.suppress(FileNotFoundError), refuse_faults(OUTPUT_OPTION, str(name)):
        return read_current(client, name, run_id)
    return CurrentRun()


def read_current(client: "bigquery.Client", name: TableName, run_id: str) -> CurrentRun:
    """Reads the run's row. Rows of several sessions, which nothing here makes, read as one run."""
    rows = list(run_query(client, _CURRENT.format(runs=name.runs), {"run_id": run_id}))
    session_ids, run_dates, finished = zip(*rows, strict=True) if rows else ((), (), (None,))
    return CurrentRun(",".join(sorted(session_ids)), tuple(sorted(set(run_dates))), finished[-1])
