"""Our job on an engine: Prism, or Beam's job service with worker processes that it did not start.

::

    python -m bench.peers.engines IMAGES MODEL OUTPUT --engine=prism
    python -m bench.peers.engines IMAGES MODEL OUTPUT --engine=workers --workers=2 --threads=1

An engine of many machines starts its Python workers by a worker pool, one or more on each of them,
and none is told of the others.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

from bench.peers.rows import TOP_K

ROOT = pathlib.Path(__file__).parents[2]
_BIN = pathlib.Path(sys.executable).parent
_SERVICE = "bench.peers.job_service"
_POOL = "apache_beam.runners.worker.worker_pool_main"
_STARTS_S = 60.0
_UNTIL_CLOSED = '"$@" & read -r _; kill -9 0'
"""Runs a program until standard input is closed: also where the process that holds it is killed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job, and what it runs on."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("images", "model", "output"):
        parser.add_argument(name)
    parser.add_argument("--engine", choices=("prism", "workers"), required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", help="OMP_NUM_THREADS of the worker processes")
    asked = parser.parse_args(argv)
    with contextlib.ExitStack() as served:
        if asked.engine == "prism":
            flags = ["--runner=PrismRunner", f"--prism_location={find_prism()}"]
        else:
            folder = pathlib.Path(served.enter_context(tempfile.TemporaryDirectory()))
            environment = {"OMP_NUM_THREADS": asked.threads} if asked.threads else {}
            flags = served.enter_context(serve_workers(folder, asked.workers, environment))
        places = (f"--input={asked.images}", f"--model={asked.model}", f"--output={asked.output}")
        command = ["classify", *places, f"--top_k={TOP_K}", "--device=cpu", *flags]
        return subprocess.run([sys.executable, "-m", "pipelines", *command], check=False).returncode


def find_prism() -> str | None:
    """The Prism of `make servers`, or one on the PATH."""
    folders = (str(ROOT / ".servers" / "bin"), os.environ.get("PATH", ""))
    return shutil.which("prism", path=os.pathsep.join(folders))


@contextlib.contextmanager
def serve_workers(
    folder: pathlib.Path, workers: int, environment: Mapping[str, str]
) -> Iterator[list[str]]:
    """Serves a job service and a pool of worker processes; gives the flags of a job on them.

    Args:
        folder: for their logs, `service.log` and `pool.log`.
        workers: processes that the service asks the pool for.
        environment: of the pool and its workers, on top of this process's own.
    """
    ports = [_find_free_port(), _find_free_port()]
    # The pool starts plain `python`: it has to be the one of this environment.
    path = f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    around = {**os.environ, "PATH": path, **environment}
    with (
        _serve([_SERVICE, str(workers), f"--port={ports[0]}"], folder / "service.log", around),
        _serve([_POOL, f"--service_port={ports[1]}"], folder / "pool.log", around),
    ):
        for port in ports:
            _await_port(port)
        yield [
            *("--runner=PortableRunner", f"--job_endpoint=localhost:{ports[0]}"),
            *("--environment_type=EXTERNAL", f"--environment_config=localhost:{ports[1]}"),
        ]


@contextlib.contextmanager
def _serve(program: list[str], log: pathlib.Path, environment: dict[str, str]) -> Iterator[None]:
    """Runs a program of Beam's; it ends with this one, and with it whatever it has started."""
    command = ["sh", "-c", _UNTIL_CLOSED, "sh", sys.executable, "-m", *program]
    with (
        log.open("wb") as said,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            start_new_session=True,
        ),
    ):
        yield  # then it is closed


def _await_port(port: int) -> None:
    until_s = time.monotonic() + _STARTS_S
    while True:
        try:
            with socket.create_connection(("localhost", port)):
                return
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.1)


def _find_free_port() -> int:
    with socket.create_server(("localhost", 0)) as server:
        return int(server.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
