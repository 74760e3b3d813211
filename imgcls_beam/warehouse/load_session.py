"""From a published run to rows of the warehouse.

::

    look ─▶ check files ─▶ stage ─▶ publish in one transaction ─▶ look again ─▶ drop the staging

The run record is followed, so nothing that was not committed is loaded. Who looks into the tables
sees the rows of the attempt before, or those of this one. Whoever dies on the way comes again and
goes on; who comes too late is told so.
"""

import dataclasses
import datetime
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from imgcls_beam.bigquery import TableName, connect, quote_text, run_query, to_line
from imgcls_beam.sinks import RunRecord
from imgcls_beam.warehouse.bigquery_jobs import Loading, refuse_failures, run_job
from imgcls_beam.warehouse.check_files import check_files
from imgcls_beam.warehouse.columns import FILE_COLUMNS, RUNS, Column
from imgcls_beam.warehouse.staging_tables import Staging, drop_staging, stage_run

if TYPE_CHECKING:
    from google.cloud import bigquery

_OPTION = "output_table"
_TRIES = 5
_GUARD = "another program loads the same run"


@dataclasses.dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run that stands in the warehouse.

    Attributes:
        table: where its rows are.
        run_id: name of the run.
        attempt: which start of the program published it.
        rows: how many rows it has there.
        was_loaded: whether it stood there before this call.
    """

    table: TableName
    run_id: str
    attempt: str
    rows: int
    was_loaded: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """A row of `prediction_runs` under the run's id.

    Attributes:
        attempt: whose rows stand.
        run_date: the partition in which they are.
        finished_at: when that attempt's record was made.
    """

    attempt: str
    run_date: datetime.date
    finished_at: datetime.datetime


def load_run(
    table: TableName, output: str, record: RunRecord, expected_attempt: str | None = None
) -> LoadedRun:
    """Puts a published run into the warehouse, in the place of an earlier attempt at it.

    It may be called again, whether the first call ended, failed or died.

    Args:
        table: made by `ensure_tables`; the run's row goes into the table beside it.
        output: folder of the published files.
        record: as it stands there.
        expected_attempt: the attempt that may be replaced; None for any that is not newer.

    Raises:
        ConfigError: there is no such dataset, or no way to BigQuery.
        PublishError: a file does not fit, another attempt stands that may not be replaced, or
            BigQuery fails. The rows that stood there stand.
    """
    loading = Loading(connect(_OPTION, table), table, output, record)
    with refuse_failures(loading):
        was_loaded = _is_loaded(loading, _look(loading))
        if not was_loaded:
            check_files(output, record)
            _publish(loading, expected_attempt)
        drop_staging(loading)
    return LoadedRun(table, record.run_id, record.attempt, loading.rows, was_loaded)


def _publish(loading: Loading, expected_attempt: str | None) -> None:
    """Stages and publishes until the run stands there.

    Once is enough, but for other programs that load the same run at the same time: they may put in
    another attempt, or drop the staging tables that they share with us.
    """
    from google.api_core.exceptions import GoogleAPICallError, NotFound

    problem, spent = "", set[str]()
    for _ in range(_TRIES):
        standing = _look(loading)
        _check_may_replace(loading, standing, expected_attempt)
        try:
            spent.add(_run_script(loading, standing, spent))
        except GoogleAPICallError as error:
            if not isinstance(error, NotFound) and _GUARD not in str(error):
                raise
            problem = to_line(error.message)
        if _is_loaded(loading, _look(loading)):
            return
    raise loading.refuse(f"it was published {_TRIES} times and does not stand there; {problem}")


def _run_script(loading: Loading, standing: Sequence[Standing], spent: Collection[str]) -> str:
    """Publishes upon what stands, unless another program does: then that is waited for.

    BigQuery takes a job's id once, and ours says upon what it publishes: of two attempts that come
    together one begins, though neither has a row yet that the other's transaction would change.
    """
    script = _write_script(loading, stage_run(loading), standing)

    def begin(job_id: str) -> "bigquery.QueryJob":
        return loading.client.query(script, job_id=job_id, job_retry=None)

    job_id = f"imgcls_publish_{loading.follow(_join_attempts(standing))}"
    return run_job(loading.client, job_id, begin, spent)


def _look(loading: Loading) -> list[Standing]:
    """What stands under the run's id: one row, or none; two where two programs came together."""
    found = run_query(
        loading.client,
        f"SELECT attempt, run_date, finished_at FROM `{loading.table.runs}` "
        f"WHERE run_id = {quote_text(loading.record.run_id)} ORDER BY finished_at, attempt",
    )
    return [Standing(*row) for row in found]


def _is_loaded(loading: Loading, standing: Sequence[Standing]) -> bool:
    """Whether this attempt stands there, with all its rows."""
    record = loading.record
    if standing != [Standing(record.attempt, record.run_date, record.finished_at)]:
        return False
    ((rows,),) = run_query(
        loading.client,
        f"SELECT COUNT(*) FROM `{loading.table}` WHERE run_id = {quote_text(record.run_id)} "
        f"AND run_date = DATE '{record.run_date}'",
    )
    return bool(rows == loading.rows)


def _check_may_replace(
    loading: Loading, standing: Sequence[Standing], expected_attempt: str | None
) -> None:
    record = loading.record
    others = [each for each in standing if each.attempt != record.attempt]
    if any(each.finished_at > record.finished_at for each in others):
        raise loading.refuse("a later attempt at it stands there")
    if expected_attempt is not None and any(e.attempt != expected_attempt for e in others):
        raise loading.refuse(f"attempt {others[0].attempt} stands there, not {expected_attempt}")


def _write_script(loading: Loading, staging: Staging, standing: Sequence[Standing]) -> str:
    """The transaction that replaces a run.

    It fails where another attempt stands than was seen, or other rows are staged than were counted.
    The days are written out, so that BigQuery looks into their partitions alone. ASSERT would say
    the guard in one word, but the emulator of the tests does not know it.
    """
    record, predictions, runs = loading.record, loading.table, loading.table.runs
    run_id, run_date = quote_text(record.run_id), f"DATE '{record.run_date}'"
    seen = quote_text(_join_attempts(standing))
    dates = ", ".join(sorted({run_date, *(f"DATE '{each.run_date}'" for each in standing)}))
    attempts = f"SELECT STRING_AGG(attempt, ',' ORDER BY attempt) FROM `{runs}`"
    rows, row = _list_names(FILE_COLUMNS), _list_names(RUNS)
    return f"""BEGIN TRANSACTION;
SELECT IF(
  COALESCE(({attempts} WHERE run_id = {run_id}), '') = {seen}
  AND (SELECT COUNT(*) FROM `{staging.rows}`) = {loading.rows},
  'as it was seen', ERROR('{_GUARD}'));
DELETE FROM `{predictions}` WHERE run_id = {run_id} AND run_date IN ({dates});
INSERT INTO `{predictions}` ({rows}, `run_id`, `run_date`)
  SELECT {rows}, {run_id}, {run_date} FROM `{staging.rows}`;
DELETE FROM `{runs}` WHERE run_id = {run_id} AND run_date IN ({dates});
INSERT INTO `{runs}` ({row}) SELECT {row} FROM `{staging.run}`;
COMMIT TRANSACTION;
"""


def _join_attempts(standing: Sequence[Standing]) -> str:
    return ",".join(sorted(each.attempt for each in standing))


def _list_names(columns: Sequence[Column]) -> str:
    return ", ".join(f"`{column.name}`" for column in columns)
