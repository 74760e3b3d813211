"""Each of the servers that others wrote, one after the other."""

from collections.abc import Iterator

import pytest

from tests.built_servers import BuiltServer, serve


@pytest.fixture(scope="module", params=["minio", "fake-gcs", "azurite"])
def server(request: pytest.FixtureRequest) -> Iterator[BuiltServer]:
    with serve(request.param) as started:
        yield started
