"""Published files in staging tables: all rows of the run, and nothing else.

Files on Google's store are loaded from there; others are uploaded one by one. Each load is a job
with an id of its own, so a program that is started again loads only what is missing. If something
is wrong with a staging table (it expired, an emulator took a file twice), its rows do not add up
and the transaction refuses them; the next try stages under another number. The sweep is BigQuery's
own: it drops a staging table after a day.
"""

import datetime
import functools
import io
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING

from imgcls_beam.bigquery import TableName
from imgcls_beam.checks import scheme_of
from imgcls_beam.warehouse.bigquery_jobs import run_job
from imgcls_beam.warehouse.bigquery_session import BigQuerySession
from imgcls_beam.warehouse.columns import FILE_COLUMNS, RUNS, Column, describe, encode_run_row

if TYPE_CHECKING:
    from google.cloud import bigquery

TRIES = 20
"""Tables are staged at most so many times under different numbers."""

_KEPT = datetime.timedelta(days=1)
_URIS_PER_JOB = 10_000
"""BigQuery's limit on the URIs of one load job."""


def stage(session: BigQuerySession, number: int) -> TableName:
    """Loads the files of a run, and its record, into tables of their own.

    Returns:
        The table of the rows, in the columns of the files; the run's row is in its `runs`.

    Raises:
        GoogleAPICallError: what the service says where it cannot be done.
    """
    staging = _name_staging(session, number)
    _make_table(session.client, staging, FILE_COLUMNS)
    for index, begin in enumerate(_plan_loads(session, str(staging))):
        run_job(session.client, f"{staging.table}_{index:05d}", begin)
    _make_table(session.client, staging.runs, RUNS)
    run_job(session.client, staging.runs.table, _plan_record(session, str(staging.runs)))
    return staging


def abandon(session: BigQuerySession) -> None:
    """Drops the staging tables of a session, also those of its dead tries."""
    from google.api_core.exceptions import NotFound

    for staging in (_name_staging(session, number) for number in range(TRIES)):
        session.client.delete_table(str(staging.runs), not_found_ok=True)
        try:
            session.client.delete_table(str(staging))
        except NotFound:  # they are made in the order of their numbers
            return


def _name_staging(session: BigQuerySession, number: int) -> TableName:
    key = session.make_key(session.record.session_id)
    return session.table.beside(f"_imgcls_staging_{key}_{number}")


def _plan_loads(session: BigQuerySession, target: str) -> "list[Callable[..., bigquery.LoadJob]]":
    """What begins each load job, given its id."""
    from google.cloud.bigquery import LoadJobConfig, ParquetOptions

    parquet = ParquetOptions()  # type: ignore[no-untyped-call]
    parquet.enable_list_inference = True  # ARRAY<STRUCT<label, score>>, not a struct of a list
    config = LoadJobConfig(
        source_format="PARQUET",
        parquet_options=parquet,
        create_disposition="CREATE_NEVER",
        write_disposition="WRITE_APPEND",
    )
    folder, names = session.folder, [file.path for file in session.record.files]
    on_gcs = [name for name in names if _is_on_gcs(folder.url_of(name))]
    uris = [f"gs://{folder.url_of(name).partition('://')[2]}" for name in on_gcs]
    batches = [uris[i : i + _URIS_PER_JOB] for i in range(0, len(uris), _URIS_PER_JOB)]
    load = functools.partial(session.client.load_table_from_uri, job_config=config)
    uploaded = [name for name in names if name not in set(on_gcs)]
    reads = [functools.partial(folder.open_existing, name) for name in uploaded]
    return [
        *(functools.partial(load, batch, target) for batch in batches),
        *(functools.partial(_upload, session.client, read, target, config) for read in reads),
    ]


def _is_on_gcs(url: str) -> bool:
    """Whether BigQuery can load a file from where it is; a `*` would stand for other files."""
    return scheme_of(url) in ("gs", "gcs") and "*" not in url


def _plan_record(session: BigQuerySession, target: str) -> "Callable[..., bigquery.LoadJob]":
    from google.cloud.bigquery import LoadJobConfig

    config = LoadJobConfig(
        source_format="NEWLINE_DELIMITED_JSON",
        schema=describe(RUNS),
        create_disposition="CREATE_NEVER",
        write_disposition="WRITE_TRUNCATE",  # of the staging table: it has one row, always the same
    )
    read = functools.partial(io.BytesIO, encode_run_row(session.record))
    return functools.partial(_upload, session.client, read, target, config)


def _upload(
    client: "bigquery.Client",
    read: Callable[[], IO[bytes]],
    target: str,
    config: "bigquery.LoadJobConfig",
    *,
    job_id: str,
) -> "bigquery.LoadJob":
    """Not `load_table_from_json`: the emulator of the tests refuses what is sent in one piece."""
    with read() as source:  # sent in pieces, as its size is not given
        return client.load_table_from_file(source, target, job_id=job_id, job_config=config)


def _make_table(client: "bigquery.Client", name: TableName, columns: Sequence[Column]) -> None:
    from google.cloud.bigquery import Table

    table = Table(str(name), schema=describe(columns))
    table.expires = datetime.datetime.now(datetime.UTC) + _KEPT
    client.create_table(table, exists_ok=True)
