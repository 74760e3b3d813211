"""Beam's own portable job service, in a process of its own, and services that are none."""

import contextlib
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

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
        subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process,
    ):
        try:
            while not (file.exists() and file.read_text()):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield JobService(f"localhost:{file.read_text()}", process, log)
        finally:
            process.kill()


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
