"""Servers of S3 and GCS for a module's tests."""

from collections.abc import Iterator

import pytest

from tests.servers import Server, serve_gcs, serve_s3


@pytest.fixture(scope="module")
def s3() -> Iterator[Server]:
    with serve_s3() as server:
        yield server


@pytest.fixture(scope="module")
def gcs() -> Iterator[Server]:
    with serve_gcs() as server:
        yield server
