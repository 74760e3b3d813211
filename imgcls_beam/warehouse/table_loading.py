"""From a published run to rows of the tables.

::

    begin ─▶ check files ─▶ stage ─▶ commit in one transaction ─▶ abandon the staging tables

Only files that the run record names are loaded. Readers of the tables see the rows of the earlier
session or those of this one, never both. A program that died on the way goes on when it is started
again. A session that comes after a later one loads nothing, and its error says so.
"""

import dataclasses
import functools
import time
from collections.abc import Sequence

from imgcls_beam.bigquery import OUTPUT_OPTION, TableName, connect, quote_text, to_line
from imgcls_beam.errors import PublishError
from imgcls_beam.sinks import RunRecord
from imgcls_beam.stores.opening import open_folder
from imgcls_beam.stores.patience import find_wait_s
from imgcls_beam.warehouse.bigquery_jobs import run_job
from imgcls_beam.warehouse.bigquery_session import BigQuerySession
from imgcls_beam.warehouse.check_files import check_files
from imgcls_beam.warehouse.columns import FILE_COLUMNS, RUNS, Column
from imgcls_beam.warehouse.current_run import CurrentRun, read_current
from imgcls_beam.warehouse.staging_tables import TRIES, abandon, stage

_FIRST_WAIT_S = 0.5
_GUARD = "the tables changed while this run was loaded"


@dataclasses.dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run in the tables.

    Attributes:
        table: where its rows are.
        run_id: name of the run.
        session_id: which start of the program published it.
        rows: how many rows it has there.
        was_loaded: whether it was there before this call.
    """

    table: TableName
    run_id: str
    session_id: str
    rows: int
    was_loaded: bool


def load_run(
    table: TableName, output: str, record: RunRecord, expected_session: str | None = None
) -> LoadedRun:
    """Puts a published run into the tables, in the place of an earlier session's rows.

    It may be called again, whether the first call ended, failed or died.

    Args:
        table: made by `ensure_tables`; the run's row goes into the table beside it.
        output: folder of the published files.
        record: of the run.
        expected_session: the session whose rows may be replaced, empty for none; None for any that
            is not newer.

    Raises:
        ConfigError: there is no such dataset, or no way to BigQuery.
        PublishError: a file does not fit, the table holds a session that may not be replaced, or
            BigQuery fails. The tables are as they were.
    """
    folder = open_folder("output", output)
    session = BigQuerySession(connect(OUTPUT_OPTION, table), table, folder, record)
    with session.refuse_faults():
        current = read_current(session.client, table, record.run_id)
        was_loaded = current.session_id == record.session_id
        try:
            if not was_loaded:
                check_files(folder, record)
                _publish(session, current, expected_session)
        except PublishError:
            abandon(session)
            raise
        abandon(session)
    return LoadedRun(table, record.run_id, record.session_id, session.rows, was_loaded)


def _publish(session: BigQuerySession, current: CurrentRun, expected_session: str | None) -> None:
    """Stages and commits until the tables hold the run.

    Once is enough, unless another program loads the same run at the same time: it may commit
    another session, or drop the staging tables that it shares with this one. The wait between two
    tries is random, so that two programs do not get into each other's way again and again.
    """
    from google.api_core.exceptions import GoogleAPICallError, NotFound

    record, problem, number, spent = session.record, "", 0, set[str]()
    for tries in range(TRIES):
        _check_may_replace(session, current, expected_session)
        try:
            if _commit(session, stage(session, number), current, spent):
                return
        except GoogleAPICallError as error:
            if not isinstance(error, NotFound) and _GUARD not in str(error):
                raise
            problem = to_line(error.message)
        time.sleep(find_wait_s(tries, _FIRST_WAIT_S))
        seen, current = current, read_current(session.client, session.table, record.run_id)
        if current.session_id == record.session_id:
            return
        number += current == seen  # then the staged rows were refused
    raise session.refuse(f"it was tried {TRIES} times; {problem}")


def _commit(
    session: BigQuerySession, staging: TableName, current: CurrentRun, spent: set[str]
) -> bool:
    """Replaces the current run, unless another program does: then this waits for its end.

    BigQuery takes a job's id once, and this id names the session to be replaced. So of two
    programs that replace the same one only one begins, even where the tables hold no row yet that
    both transactions would change.

    Args:
        session: to be committed.
        staging: its rows.
        current: to be replaced.
        spent: ids of transactions of others that have been waited for; one may be added.

    Returns:
        Whether this program's transaction was committed.
    """
    script = _write_script(session, staging, current)
    begin = functools.partial(session.client.query, script, job_retry=None)
    job_id = f"imgcls_publish_{session.make_key(current.session_id)}"
    job_id, was_begun = run_job(session.client, job_id, begin, spent)
    spent.add(job_id)
    return was_begun


def _check_may_replace(
    session: BigQuerySession, current: CurrentRun, expected_session: str | None
) -> None:
    if current.finished_at and current.finished_at > session.record.finished_at:
        raise session.refuse("the table holds a later session of it")
    if expected_session not in (None, current.session_id):
        found = f"session {current.session_id}" if current.session_id else "no session"
        expected = expected_session or "none"
        raise session.refuse(f"the table holds {found} of it, not {expected}")


def _write_script(session: BigQuerySession, staging: TableName, current: CurrentRun) -> str:
    """The transaction that replaces the current run.

    It fails where the tables hold another session by now, or the staging tables do not hold all
    rows: a load job that is found by its id may have filled a table that was dropped since. The
    days are written out, so that BigQuery reads their partitions alone. ASSERT would say the guard
    in one word, but the emulator of the tests does not know it.
    """
    record, predictions, runs = session.record, session.table, session.table.runs
    run_id, run_date = quote_text(record.run_id), f"DATE '{record.run_date}'"
    dates = ", ".join(sorted({run_date, *(f"DATE '{day}'" for day in current.run_dates)}))
    session_ids = f"SELECT STRING_AGG(attempt, ',' ORDER BY attempt) FROM `{runs}`"
    rows, row = _list_names(FILE_COLUMNS), _list_names(RUNS)
    return f"""BEGIN TRANSACTION;
SELECT IF(
  COALESCE(({session_ids} WHERE run_id = {run_id}), '') = {quote_text(current.session_id)}
  AND (SELECT COUNT(*) FROM `{staging}`) = {session.rows}
  AND (SELECT COUNT(*) FROM `{staging.runs}`) = 1,
  'unchanged', ERROR('{_GUARD}'));
DELETE FROM `{predictions}` WHERE run_id = {run_id} AND run_date IN ({dates});
INSERT INTO `{predictions}` ({rows}, `run_id`, `run_date`)
  SELECT {rows}, {run_id}, {run_date} FROM `{staging}`;
DELETE FROM `{runs}` WHERE run_id = {run_id} AND run_date IN ({dates});
INSERT INTO `{runs}` ({row}) SELECT {row} FROM `{staging.runs}`;
COMMIT TRANSACTION;
"""


def _list_names(columns: Sequence[Column]) -> str:
    return ", ".join(f"`{column.name}`" for column in columns)
