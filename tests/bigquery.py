"""An emulator of BigQuery on loopback: `bqemulator`, a process in a virtual environment of its own.

`make .venv-bigquery/.installed` installs it. It is DuckDB behind BigQuery's REST API: load jobs,
scripts and queries are real; docs/operations.md says what differs from the service.
"""

import contextlib
import itertools
import os
import pathlib
import socket
import time
import urllib.request
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from imgcls_beam.bigquery import EMULATOR, TableName
from tests.children import start_server

BIN = pathlib.Path(__file__).parents[1] / ".venv-bigquery" / "bin"
PROJECT = "test-project"
_START_S = 60.0
# The service takes the columns of a Parquet file as they are; DuckDB would add those that stand in
# its path, run_date=… and so on.
_PROGRAM = """
from duckdb_extensions import import_extension
from bqemulator import cli
from bqemulator.jobs import executor

def load_parquet(path, target, ctx):
    rows = "read_parquet(?, hive_partitioning = false)"
    ctx.engine.execute(f"INSERT INTO {target} SELECT * FROM {rows}", [path])

assert "PARQUET" in executor._LOAD_FORMAT_HANDLERS
executor._LOAD_FORMAT_HANDLERS["PARQUET"] = load_parquet
import_extension("spatial")
cli.main()
"""
_NUMBERS = itertools.count()


class Emulator:
    """The running process; its tables live in its memory.

    Attributes:
        endpoint: for BIGQUERY_EMULATOR_HOST.
        gcs_folder: for `serve_gcs`, so that load jobs find its objects.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Starts it and waits until it answers.

        Args:
            folder: an empty one for its log, its uploads, DuckDB's extension and objects.
        """
        if not (BIN / "bqemulator").exists():
            raise RuntimeError("BigQuery's emulator is missing; run `make test` once")
        port, grpc_port = _find_ports(2)
        self.endpoint = f"http://127.0.0.1:{port}"
        self.gcs_folder = folder / "gcs"
        self._log = folder / "bqemulator.log"
        environment = {
            **os.environ,
            "HOME": str(folder),
            "BQEMU_GCS_LOCAL_ROOT": str(self.gcs_folder / ".cloudstorage"),
            "BQEMU_UPLOAD_STAGING_DIR": str(folder / "uploads"),
            "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false",  # its avro would be fetched from the network
        }
        flags = [f"--rest-port={port}", f"--grpc-port={grpc_port}", "--log-level=warning"]
        with self._log.open("wb") as log:
            self._process = start_server(
                [str(BIN / "python"), "-c", _PROGRAM, "start", *flags, f"--project={PROJECT}"],
                env=environment,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)

    def _wait(self) -> None:
        give_up_at = time.monotonic() + _START_S
        url = f"{self.endpoint}/bigquery/v2/projects/{PROJECT}/datasets"
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5):
                    return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > give_up_at:
                    self._process.kill()
                    raise RuntimeError(self._log.read_text()[-2000:]) from None
            time.sleep(0.1)


@contextlib.contextmanager
def serve_bigquery(folder: pathlib.Path) -> Iterator[Emulator]:
    """A running emulator, and the environment that leads to it, also for child processes."""
    emulator = Emulator(folder)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(EMULATOR, emulator.endpoint)
            yield emulator
    finally:
        emulator.close()


def make_client() -> bigquery.Client:
    """A client of the emulator that the environment leads to."""
    credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
    return bigquery.Client(project=PROJECT, credentials=credentials)


def make_dataset() -> TableName:
    """Makes a dataset; gives the name of its `predictions`, which is not made yet."""
    name = TableName(PROJECT, f"dataset_{next(_NUMBERS)}", "predictions")
    make_client().create_dataset(name.dataset)
    return name


def ask(sql: str) -> list[tuple[object, ...]]:
    """The rows of a query's answer; an error of the query is raised."""
    return [row.values() for row in make_client().query(sql, job_retry=None).result()]


def _find_ports(count: int) -> list[int]:
    """Ports of loopback that were free a moment ago."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports
