"""Published files in a staging table: all rows of the run, counted, and nothing else.

Files on Google's store are loaded from there; others are uploaded one by one. Each load is a job
with an id of its own, so a program that comes again loads what is missing. Whatever went wrong with
a staging table (it expired, an emulator took a file twice), its count does not fit then, and the
rows are staged again under another number.
"""

import dataclasses
import datetime
import functools
import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imgcls_beam.bigquery import TableName, run_query
from imgcls_beam.checks import scheme_of
from imgcls_beam.rows import replace_surrogates
from imgcls_beam.sinks import file_operations as store
from imgcls_beam.sinks.run_paths import join
from imgcls_beam.warehouse.creating import to_fields
from imgcls_beam.warehouse.jobs import Loading, run_job
from imgcls_beam.warehouse.tables import FILE_COLUMNS, RUNS, Column, to_run_row

if TYPE_CHECKING:
    from google.cloud import bigquery

_KEPT = datetime.timedelta(days=1)
_URIS_PER_JOB = 10_000
"""BigQuery's limit on the URIs of one load job."""
_NUMBERS = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Staging:
    """Where an attempt's rows stand before they are published.

    Attributes:
        rows: the table of its rows, in the columns of its files.
        run: the table of its one row for `prediction_runs`.
    """

    rows: TableName
    run: TableName


def stage_run(loading: Loading) -> Staging:
    """Loads the files of a run, and its record, into tables of their own.

    Raises:
        PublishError: the rows do not add up to those of the record.
        GoogleAPICallError: what the service says where it cannot be done.
    """
    found = 0
    for number in range(_NUMBERS):
        staging = locate_staging(loading, number)
        _stage_rows(loading, staging.rows)
        found = _count_rows(loading.client, staging.rows)
        if found == loading.rows:
            _stage_record(loading, staging.run)
            return staging
    raise loading.refuse(f"{found} rows were staged of {loading.rows}")


def locate_staging(loading: Loading, number: int) -> Staging:
    """The staging tables of an attempt, in the dataset of its table."""
    name = f"_imgcls_staging_{loading.key}_{number}"
    return Staging(loading.table.beside(name), loading.table.beside(f"{name}_run"))


def drop_staging(loading: Loading) -> None:
    """Drops the staging tables of an attempt, also those of its dead tries."""
    from google.api_core.exceptions import NotFound

    for number in range(_NUMBERS):
        staging = locate_staging(loading, number)
        loading.client.delete_table(str(staging.run), not_found_ok=True)
        try:
            loading.client.delete_table(str(staging.rows))
        except NotFound:  # they are made in the order of their numbers
            return


def _stage_rows(loading: Loading, target: TableName) -> None:
    _make_table(loading.client, target, FILE_COLUMNS)
    for index, uris in enumerate(_plan_loads(loading)):
        begin = functools.partial(_begin_load, loading, target, uris)
        run_job(loading.client, f"{_name_job(target)}_{index:05d}", begin)


def _plan_loads(loading: Loading) -> Iterator[tuple[str, ...]]:
    """The URLs of each load job. A `*` in a URI of Google's store would stand for other files."""
    urls = [join(loading.output, file.path) for file in loading.record.files]
    remote = [url for url in urls if scheme_of(url) in ("gs", "gcs") and "*" not in url]
    for first in range(0, len(remote), _URIS_PER_JOB):
        yield tuple(remote[first : first + _URIS_PER_JOB])
    for url in urls:
        if url not in remote:
            yield (url,)


def _begin_load(
    loading: Loading, target: TableName, urls: Sequence[str], job_id: str
) -> "bigquery.LoadJob":
    from google.cloud.bigquery import LoadJobConfig, ParquetOptions

    parquet = ParquetOptions()  # type: ignore[no-untyped-call]
    parquet.enable_list_inference = True  # ARRAY<STRUCT<label, score>>, not a struct of a list
    config = LoadJobConfig(
        source_format="PARQUET",
        parquet_options=parquet,
        create_disposition="CREATE_NEVER",
        write_disposition="WRITE_APPEND",
    )
    if scheme_of(urls[0]) in ("gs", "gcs") and "*" not in urls[0]:
        uris = [f"gs://{url.partition('://')[2]}" for url in urls]
        return loading.client.load_table_from_uri(
            uris, str(target), job_id=job_id, job_config=config
        )
    with store.open_existing(urls[0]) as source:  # without its size it is sent in pieces
        return loading.client.load_table_from_file(
            source, str(target), job_id=job_id, job_config=config
        )


def _stage_record(loading: Loading, target: TableName) -> None:
    from google.cloud.bigquery import LoadJobConfig

    _make_table(loading.client, target, RUNS)
    config = LoadJobConfig(
        source_format="NEWLINE_DELIMITED_JSON",
        schema=to_fields(RUNS),
        create_disposition="CREATE_NEVER",
        write_disposition="WRITE_TRUNCATE",  # of the staging table: one row, whoever comes again
    )
    text = json.dumps(to_run_row(loading.record), ensure_ascii=False)
    row = replace_surrogates(text).encode()

    def begin(job_id: str) -> "bigquery.LoadJob":
        return loading.client.load_table_from_file(
            io.BytesIO(row), str(target), job_id=job_id, job_config=config
        )

    run_job(loading.client, _name_job(target), begin)


def _make_table(client: "bigquery.Client", name: TableName, columns: Sequence[Column]) -> None:
    from google.cloud.bigquery import Table

    table = Table(str(name), schema=to_fields(columns))
    table.expires = datetime.datetime.now(datetime.UTC) + _KEPT
    client.create_table(table, exists_ok=True)


def _count_rows(client: "bigquery.Client", name: TableName) -> int:
    (row,) = run_query(client, f"SELECT COUNT(*) FROM `{name}`")
    return int(row[0])


def _name_job(target: TableName) -> str:
    return target.table.lstrip("_")
