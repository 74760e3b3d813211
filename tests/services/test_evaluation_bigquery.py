"""The views over a carried truth in BigQuery, through a running emulator."""

import pathlib
from typing import Any

from google.cloud import bigquery

from imgcls_beam.analysis import RunPlace, open_run
from imgcls_beam.analysis.judged_runs import judge_run
from imgcls_beam.analysis.truths import TruthOptions
from imgcls_beam.bigquery import TableName
from imgcls_beam.warehouse import load_run
from imgcls_beam.warehouse.evaluation_views import EVALUATION_VIEWS, render_evaluation_bigquery
from imgcls_beam.warehouse.querying import open_runs
from tests.bigquery import make_client
from tests.truths import TRUTH, publish_hard_truths, publish_truths


def test_views_and_the_program_say_of_a_table_what_they_say_of_the_folder(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    records = [publish_truths(str(tmp_path)), *publish_hard_truths(str(tmp_path))]
    for record in records:
        load_run(table, str(tmp_path), record)
    dataset = f"{table.project}.{table.dataset}"
    views = render_evaluation_bigquery(TRUTH, dataset, table.table)
    for statement in filter(str.strip, views.split(";\n")):
        make_client().query(statement).result()
    config = bigquery.QueryJobConfig(default_dataset=dataset)
    for view in EVALUATION_VIEWS:
        found = make_client().query(f"SELECT * FROM {view}", job_config=config).result()
        asked = open_runs(str(tmp_path), TRUTH).execute(f"SELECT * FROM {view}")
        assert [field.name for field in found.schema] == [each[0] for each in asked.description]
        ours = sorted(map(_plain, (row.values() for row in found)))
        assert ours == sorted(map(_plain, asked.fetchall()))
    places = RunPlace(str(tmp_path)), RunPlace(table=str(table))
    for record in records:
        runs = (open_run(each, record.run_id) for each in places)
        folder, tables = (judge_run(each, TruthOptions(TRUTH)).evaluation for each in runs)
        assert (tables.labels, tables.confusions) == (folder.labels, folder.confusions)
        assert (tables.judged, tables.top_accuracies) == (folder.judged, folder.top_accuracies)


def _plain(row: tuple[Any, ...]) -> tuple[str, ...]:
    """Numbers by nine digits, which sort alike from both."""
    return tuple(f"{each:.9f}" if isinstance(each, float) else str(each) for each in row)
