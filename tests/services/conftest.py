"""One server of each kind for this folder; each test has a folder or a dataset of its own."""

from collections.abc import Iterator

import pytest

from imgcls_beam.bigquery import TableName
from imgcls_beam.warehouse import ensure_tables
from tests.bigquery import Emulator, make_dataset, serve_bigquery
from tests.servers import Server, serve_gcs, serve_s3


@pytest.fixture(scope="package")
def s3_server() -> Iterator[Server]:
    with serve_s3() as server:
        yield server


@pytest.fixture(scope="package")
def gcs_server() -> Iterator[Server]:
    with serve_gcs() as server:
        yield server


@pytest.fixture(scope="module", params=["s3_server", "gcs_server"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the two, one after the other."""
    served: Server = request.getfixturevalue(request.param)
    return served


@pytest.fixture(scope="package")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """BigQuery; the environment leads to it."""
    with serve_bigquery(tmp_path_factory.mktemp("bigquery")) as emulator:
        yield emulator


@pytest.fixture
def table(bigquery_emulator: Emulator) -> TableName:
    """BigQuery's two tables, empty, in a dataset of their own."""
    del bigquery_emulator
    name = make_dataset()
    ensure_tables(name)
    return name
