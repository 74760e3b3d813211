"""Job services in processes of their own, Beam's and Prism, and services that are none."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.children import start_server
from tests.runners import PRISM

_POOL = "apache_beam.runners.worker.worker_pool_main"
_MODULE = "apache_beam.runners.portability.local_job_service_main"


class JobService(NamedTuple):
    """A job service that runs.

    Attributes:
        endpoint: its address.
        process: that it is.
        log: what it prints.
    """

    endpoint: str
    process: "subprocess.Popen[bytes]"
    log: pathlib.Path


@contextlib.contextmanager
def serve_jobs(folder: pathlib.Path) -> Iterator[JobService]:
    """Serves until the end of the block, or until the process is killed."""
    file, log = folder / "port", folder / "service.log"
    command = [sys.executable, "-m", _MODULE, "--port=0", f"--port_file={file}"]
    with (
        log.open("wb") as out,
        start_server(command, stdout=out, stderr=subprocess.STDOUT) as process,
    ):
        try:
            while not (file.exists() and file.read_text()):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield JobService(f"localhost:{file.read_text()}", process, log)
        finally:
            process.kill()


@contextlib.contextmanager
def serve_prism(folder: pathlib.Path) -> Iterator[JobService]:
    """A Prism that no program has started for itself."""
    port, log = find_free_port(), folder / "prism.log"
    command = [str(PRISM), f"--job_port={port}", "--serve_http=false"]
    with log.open("wb") as out, start_server(command, stdout=out, stderr=out) as process:
        try:
            while not _is_open(port):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield JobService(f"localhost:{port}", process, log)
        finally:
            process.kill()


@contextlib.contextmanager
def serve_pool(folder: pathlib.Path) -> Iterator[str]:
    """The address of a worker pool of Beam's; the pool and its workers end with the block."""
    port = find_free_port()
    command = [sys.executable, "-m", _POOL, f"--service_port={port}"]
    # The pool starts plain `python`: it has to be the one of this environment.
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    around = {**os.environ, "PATH": path}
    with (
        (folder / "pool.log").open("wb") as out,
        start_server(
            command, stdout=out, stderr=out, env=around, start_new_session=True
        ) as process,
    ):
        try:
            while not _is_open(port):
                assert process.poll() is None
                time.sleep(0.05)
            yield f"localhost:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def accept_only() -> Iterator[str]:
    """The address of what accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def find_free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
