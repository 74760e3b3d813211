"""What a runner needs before a job is given to it, for `doctor`: programs, jars, addresses.

Nothing is started, nothing is downloaded, and no job is submitted.
"""

import argparse
import contextlib
import json
import pathlib
import shutil
import socket
from collections.abc import Iterator

from imgcls_beam.errors import ConfigError

from .job_services import JARS, check_portable
from .runners import (
    EMBEDDED_SERVICE,
    LOCAL_RUNNERS,
    PORTABLE_RUNNERS,
    PRISM_RUNNER,
    find_runner,
)

_ANSWER_S = 5.0
_JOB_SERVERS = ("FlinkRunner", "SparkRunner")


def check_engine(beam: argparse.Namespace) -> Iterator[str]:
    """The runner that is asked for, and what a job on it needs.

    Args:
        beam: Beam's flags.

    Raises:
        ConfigError: there is no such runner, or what it needs is not there.
    """
    runner = find_runner(beam.runner)
    if runner in PORTABLE_RUNNERS:
        check_portable(beam)
    if runner in LOCAL_RUNNERS:
        yield f"{runner} works on this machine, and never touches the network"
    elif runner == PRISM_RUNNER and beam.job_endpoint is None:
        yield _find_prism(beam.prism_location)
        yield from _check_workers(beam, "LOOPBACK")
    elif runner in PORTABLE_RUNNERS:
        yield from _check_service(runner, beam)
        usual = "LOOPBACK" if runner in _JOB_SERVERS and beam.job_endpoint is None else "DOCKER"
        yield from _check_workers(beam, usual)
    else:
        yield f"{runner} is asked when a job is submitted; `imgcls plan` checks its flags"


def _find_prism(location: str | None) -> str:
    if location is not None and "://" in location:
        return f"Prism is downloaded from {location}"
    found = shutil.which(location or "prism")
    if found is not None:
        return f"Prism is {found}"
    if location is not None:
        raise ConfigError("prism_location", location, "this file is no program that can be run")
    return "no `prism` is on the PATH: Beam downloads it; --prism_location=FILE takes one without"


def _check_service(runner: str, beam: argparse.Namespace) -> Iterator[str]:
    """The job service: one that runs, or what is needed to start one."""
    if beam.job_endpoint == EMBEDDED_SERVICE:
        yield "the job service is Beam's own, and runs in the program that submits the job"
        return
    if beam.job_endpoint is not None:
        _require_answer("job_endpoint", beam.job_endpoint, "start the job service first")
        yield f"a service listens at {beam.job_endpoint}"
        return
    java = shutil.which(beam.job_server_java_launcher)
    if java is None:  # it is not needed, or it would have been refused
        yield f"{runner} sends its jar to the cluster"
    else:
        yield f"{runner} starts its job service with {java}"
    yield _find_jar(runner, beam)


def _find_jar(runner: str, beam: argparse.Namespace) -> str:
    engine = runner.removesuffix("Runner").lower()
    name = f"{engine}_job_server_jar"
    given = getattr(beam, name)
    if given is not None:
        return f"its jar is {given}"
    folder = pathlib.Path(beam.jar_cache_dir or JARS).expanduser()
    kept = sorted(folder.glob(f"beam-runners-{engine}-*job-server-*.jar"))
    if kept:
        return f"its jar is one of {folder}"
    return f"no jar is in {folder}: Beam downloads it; --{name}=FILE takes one without"


def _check_workers(beam: argparse.Namespace, usual: str) -> Iterator[str]:
    """What starts the Python workers."""
    kind = beam.environment_type or usual
    if kind == "LOOPBACK":
        yield "workers are threads of the program that submits the job: for one machine"
    elif kind == "DOCKER":
        image = beam.environment_config or "Beam's own image, in which this package is not"
        yield f"workers are containers of {image}"
    elif kind == "EXTERNAL" and (pool := _find_pool(beam.environment_config)):
        advice = "start python -m apache_beam.runners.worker.worker_pool_main there"
        _require_answer("environment_config", pool, advice)
        yield f"a worker pool listens at {pool}; each machine of the cluster needs one there"
    else:
        yield f"workers are started as {kind}"


def _find_pool(config: str | None) -> str | None:
    """The address of a worker pool: as it is given, or the `url` of an object of JSON.

    None where it stands in the environment's options.
    """
    found: object = config
    with contextlib.suppress(ValueError):
        parsed = json.loads(config or "")
        found = parsed.get("url") if isinstance(parsed, dict) else None
    return str(found) if found else None


def _require_answer(option: str, address: str, advice: str) -> None:
    """Raises `ConfigError` where nothing listens."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_ANSWER_S):
            return
    except ValueError as error:
        raise ConfigError(option, address, "allowed: HOST:PORT") from error
    except OSError as error:
        raise ConfigError(option, address, f"nothing listens there; {advice}") from error
