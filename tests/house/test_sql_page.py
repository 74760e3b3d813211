"""Every query of docs/sql.md is run over a small output, and its answer is checked."""

import re

import duckdb
import pytest

from imgcls_beam.warehouse.querying import open_runs
from imgcls_beam.warehouse.views import VIEWS, render_duckdb
from tests.gallery import hang_gallery
from tests.sql_page import ANSWERS, BLOCKS, IN_BIGQUERY, IN_DUCKDB, PAGE, Block

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> str:
    output = str(tmp_path_factory.mktemp("gallery"))
    hang_gallery(output)
    return output


def test_every_query_has_an_answer_and_every_answer_a_query() -> None:
    assert [block[:2] for block in IN_DUCKDB] == list(ANSWERS)


def test_what_one_dialect_is_asked_the_other_is_asked_too() -> None:
    assert [block[:2] for block in IN_BIGQUERY] == [block[:2] for block in IN_DUCKDB]
    assert {block.dialect for block in BLOCKS} == {"", "duckdb", "bigquery"}


@pytest.mark.parametrize("block", IN_DUCKDB, ids=lambda block: f"{block.heading} {block.index}")
def test_a_query_of_the_page_has_its_answer(gallery: str, block: Block) -> None:
    asked = open_runs(gallery).execute(block.query).fetchall()
    assert asked == ANSWERS[block.heading, block.index]


def test_the_printed_views_answer_the_same(gallery: str) -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(render_duckdb(gallery))
    for block in IN_DUCKDB:
        rows = connection.execute(block.query).fetchall()
        assert rows == ANSWERS[block.heading, block.index], block.heading


def test_the_page_names_every_relation() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert named == {"predictions", "prediction_runs", *VIEWS}
