"""Small published runs, and what BigQuery's tables hold of them."""

import collections
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from imgcls_beam.bigquery import TableName
from imgcls_beam.sinks import RunRecord
from imgcls_beam.stores import join_url
from tests import by_url
from tests.bigquery import ask, make_client
from tests.staged import RUN, Run, begin, commit, stage_merged


def publish_run(
    output: str,
    sizes: list[int],
    attempt: int = 1,
    run: Run = RUN,
    base: RunRecord | None = None,
) -> RunRecord:
    """Publishes a run of the images 0, 1, 2, …: a file for each size, each fourth an error."""
    session = begin(output, attempt, run, if_exists="fail" if base is None else "replace")
    merged, staged = stage_merged(session, sizes, run=run)
    return commit(merged, staged, sum(sizes), session)


def read_files(output: str, record: RunRecord) -> list[dict[str, Any]]:
    """The rows of a run's files as a table has them, by their URI."""
    tables = []
    for file in record.files:
        with by_url.open_existing(join_url(output, file.path)) as source:
            tables.append(pq.read_table(source))
    keys = {"run_id": record.run_id, "run_date": record.run_date}
    rows: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
    return sorted((row | keys for row in rows), key=lambda row: str(row["image_uri"]))


def read_rows(table: TableName, where: str = "TRUE") -> list[dict[str, Any]]:
    found = make_client().query(f"SELECT * FROM `{table}` WHERE {where} ORDER BY image_uri")
    return [dict(row) for row in found.result()]


def count_rows(table: TableName) -> dict[str, tuple[str, int, int]]:
    """By run: its attempt, how many rows it says to have, and how many there are."""
    counts = collections.Counter(run_id for (run_id,) in ask(f"SELECT run_id FROM `{table}`"))
    runs = ask(f"SELECT run_id, attempt, listed FROM `{table.runs}`")
    assert {run_id for run_id, _, _ in runs} >= set(counts)
    assert len(runs) == len({run_id for run_id, _, _ in runs})
    return {str(run): (str(at), int(str(listed)), counts[run]) for run, at, listed in runs}


def list_tables(table: TableName) -> set[str]:
    return {each.table_id for each in make_client().list_tables(table.dataset)}
