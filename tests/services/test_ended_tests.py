"""Tests that are killed leave no server running; those that are ended by a signal clear up."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.built_servers import PROGRAMS, need
from tests.processes import list_children, wait_for_end
from tests.programs import ROOT
from tests.runners import PRISM

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not pathlib.Path("/proc").exists(), reason="only Linux can be asked for it"),
]

SERVERS = {
    "S3": "servers.serve_s3()",
    "GCS": "servers.serve_gcs()",
    "BigQuery": "bigquery.serve_bigquery(folder)",
    "a job service": "job_services.serve_jobs(folder)",
    "a worker pool": "job_services.serve_pool(folder)",
    "Prism": "job_services.serve_prism(folder)",
    **{name: f"built_servers.serve({name!r})" for name in PROGRAMS},
}
_FIRST = ("S3", "a worker pool", "Prism")
"""Of `make test`; the others are `long`."""
SERVES = """
import pathlib, sys, time
from tests import {module}
folder = pathlib.Path(sys.argv[1])
with {call}:
    print("it serves", flush=True)
    time.sleep(1_000_000)
"""


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=() if each in _FIRST else pytest.mark.long) for each in SERVERS],
)
def test_a_server_ends_with_the_process_that_started_it(name: str, tmp_path: pathlib.Path) -> None:
    if name in PROGRAMS:
        need(name)
    if name == "Prism" and PRISM is None:
        pytest.skip("no Prism: `make servers` builds it")
    call = SERVERS[name]
    code = SERVES.format(module=call.partition(".")[0], call=call)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        while program.stdout.readline() != "it serves\n":
            assert program.poll() is None
        servers = list_children(program.pid)
        assert servers
        program.kill()
    wait_for_end(servers)


WAITS = """
import pathlib, time
import pytest

@pytest.fixture(scope="session")
def server():
    yield
    pathlib.Path("torn down").touch()

def test_that_it_waits(server):
    pathlib.Path("waits").touch()
    time.sleep(1_000_000)
"""


@pytest.mark.parametrize("more", [[], ["-n1"]], ids=["one process", "xdist"])
def test_sigterm_tears_the_fixtures_down(more: list[str], tmp_path: pathlib.Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(WAITS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    around = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, *more, "test_it.py"], cwd=tmp_path, env=around, stdout=subprocess.DEVNULL
    ) as tests:
        while not (tmp_path / "waits").exists():
            assert tests.poll() is None
            time.sleep(0.05)
        tests.send_signal(signal.SIGTERM)
    while not (tmp_path / "torn down").exists():  # xdist's processes are told by a closed pipe
        time.sleep(0.05)
