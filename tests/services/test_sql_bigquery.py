"""The views and the queries of docs/sql.md in BigQuery, through a running emulator."""

from typing import Any

import pytest
from google.cloud import bigquery

from imgcls_beam.bigquery import TableName
from imgcls_beam.sinks.record import read_records
from imgcls_beam.stores import open_folder
from imgcls_beam.warehouse import ensure_tables, load_run
from imgcls_beam.warehouse.querying import open_runs
from imgcls_beam.warehouse.views import VIEWS, render_bigquery
from tests.bigquery import Emulator, make_client, make_dataset
from tests.gallery import hang_gallery
from tests.sql_page import ANSWERS, IN_BIGQUERY, Block


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> str:
    output = str(tmp_path_factory.mktemp("gallery"))
    hang_gallery(output)
    return output


@pytest.fixture(scope="module")
def table(bigquery_emulator: Emulator, gallery: str) -> TableName:
    """The gallery's runs as tables, and the views beside them."""
    del bigquery_emulator
    name = make_dataset()
    ensure_tables(name)
    for record in read_records(open_folder("output", gallery)):
        load_run(name, gallery, record)
    views = render_bigquery(f"{name.project}.{name.dataset}", name.table)
    for statement in filter(str.strip, views.split(";\n")):
        make_client().query(statement).result()
    return name


def ask(table: TableName, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of the columns, and the rows; names of relations stand bare."""
    config = bigquery.QueryJobConfig(default_dataset=f"{table.project}.{table.dataset}")
    found = make_client().query(query, job_config=config, job_retry=None).result()
    return [field.name for field in found.schema], [row.values() for row in found]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_its_columns_and_the_rows_that_duckdb_gives(
    table: TableName, gallery: str, view: str
) -> None:
    found, rows = ask(table, f"SELECT * FROM {view}")
    asked = open_runs(gallery).execute(f"SELECT * FROM {view}")
    assert found == [column[0] for column in asked.description]
    expected = asked.fetchall()
    assert sorted(map(repr, map(_plain, rows))) == sorted(map(repr, map(_plain, expected)))
    assert rows


@pytest.mark.parametrize("block", IN_BIGQUERY, ids=lambda block: f"{block.heading} {block.index}")
def test_a_query_of_the_page_has_its_answer(table: TableName, block: Block) -> None:
    _, rows = ask(table, block.query)
    assert rows == ANSWERS[block.heading, block.index]


def _plain(row: tuple[Any, ...]) -> list[Any]:
    """Values that look the same from both: times without the name of their zone."""
    return [value.isoformat() if hasattr(value, "isoformat") else value for value in row]
