"""Checks of what a portable job needs before it is submitted: its service, and its workers.

Flags are looked at without Beam and the network; then the service is asked: it may not be there.
"""

import argparse
import difflib
import json
import os
import shutil
import urllib.request
from typing import TYPE_CHECKING

from imgcls_beam.errors import ConfigError

from .runners import EMBEDDED_SERVICE, LOOPBACK, PORTABLE_RUNNERS, find_runner

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_ANSWER_S = 10.0
"""For a job service that is asked which options it has."""
_ASK = "/org.apache.beam.model.job_management.v1.JobService/DescribePipelineOptions"
_ENVIRONMENTS = ("DOCKER", "EXTERNAL", "PROCESS", LOOPBACK)
_OWN_URN = "beam:env:"
_NEEDED = {
    "EXTERNAL": (
        ("url", "external_service_address"),
        "EXTERNAL workers are found by an address: --environment_config=HOST:PORT",
    ),
    "PROCESS": (
        ("command", "process_command"),
        """PROCESS workers are started by a command: --environment_config='{"command": "…"}'""",
    ),
}
JARS = "~/.apache_beam/cache/jars"
"""Where Beam keeps what it has downloaded."""
_JAVA = {"FlinkRunner": "flink_job_server_jar", "SparkRunner": "spark_job_server_jar"}
"""Without an endpoint these start a job service of their own, a program in Java, from this jar."""


def check_portable(beam: argparse.Namespace) -> None:
    """Checks Beam's flags of a job that a service runs.

    Args:
        beam: values of Beam's flags.

    Raises:
        ConfigError: it lacks something.
    """
    _check_environment(beam)
    runner = find_runner(beam.runner)
    if beam.job_endpoint is not None:
        return
    if runner == "PortableRunner":
        problem = "PortableRunner needs the address of a job service, HOST:PORT"
        raise ConfigError("job_endpoint", None, problem)
    elif runner in _JAVA:
        _check_java(beam, runner)
    elif runner == "PrismRunner":
        _check_prism(beam.prism_location)


def ask_service(options: "PipelineOptions") -> None:
    """Asks the job service that a job names, or for the jar of the one that it would start.

    Args:
        options: of Beam, as `check_portable` found them fit.

    Raises:
        ConfigError: the service does not answer, or there is no way to the jar.
    """
    from apache_beam.options.pipeline_options import PortableOptions, StandardOptions

    runner = options.view_as(StandardOptions).runner
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint is None and runner in _JAVA:
        _check_jar(options, runner)
    elif endpoint not in (None, EMBEDDED_SERVICE) and runner in PORTABLE_RUNNERS:
        check_endpoint(endpoint)


def check_endpoint(endpoint: str, limit_s: float = _ANSWER_S) -> None:
    """Asks a job service which options it has; any answer will do.

    Raises:
        ConfigError: it does not answer, or it is no job service.
    """
    import grpc

    with grpc.insecure_channel(endpoint) as channel:
        try:
            channel.unary_unary(_ASK)(b"", timeout=limit_s, wait_for_ready=True)
        except grpc.RpcError as error:
            code = getattr(error, "code", bool)()
            if code == grpc.StatusCode.UNIMPLEMENTED:
                problem = "what answers there is no job service of Beam's"
                raise ConfigError("job_endpoint", endpoint, problem) from error
            if code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
                problem = f"no job service has answered there for {limit_s:g} s; is it running?"
                raise ConfigError("job_endpoint", endpoint, problem) from error


def may_lack_files(beam: argparse.Namespace) -> bool:
    """Whether the workers of a portable job may lack the files of this machine."""
    kind = beam.environment_type
    if kind is not None:
        return bool(kind != LOOPBACK and not kind.startswith(_OWN_URN))
    return beam.job_endpoint is not None or find_runner(beam.runner) not in (*_JAVA, "PrismRunner")


def _check_environment(beam: argparse.Namespace) -> None:
    kind = beam.environment_type
    if kind is None or kind.startswith(_OWN_URN):
        return
    if kind not in _ENVIRONMENTS:
        near = difflib.get_close_matches(kind.upper(), _ENVIRONMENTS, 1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(_ENVIRONMENTS)}"
        raise ConfigError("environment_type", kind, f"there is no such environment; {advice}")
    if kind in _NEEDED:
        (key, option), problem = _NEEDED[kind]
        given = beam.environment_options or []
        if key not in _read_config(beam, key) and not any(
            each.strip().startswith(f"{option}=") for text in given for each in text.split(",")
        ):
            raise ConfigError("environment_config", beam.environment_config, problem)


def _read_config(beam: argparse.Namespace, key: str) -> dict[str, object]:
    """The configuration as an object; an address alone stands for the only thing that it says."""
    text = (beam.environment_config or "").strip()
    if not text.startswith("{"):
        return {"url": text} if text else {}
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ConfigError("environment_config", text, "it is not JSON") from error
    return {name: value for name, value in config.items() if value}


def _check_java(beam: argparse.Namespace, runner: str) -> None:
    name = _JAVA[runner]
    jar = getattr(beam, name)
    if jar is not None and "://" not in jar and not os.path.exists(jar):
        raise ConfigError(name, jar, "there is no such file")
    java, is_sent = beam.job_server_java_launcher, beam.flink_submit_uber_jar
    if not is_sent and not beam.spark_submit_uber_jar and not shutil.which(java):
        problem = f"{runner} starts its job service with it, and it is not here; install a JRE"
        raise ConfigError("job_server_java_launcher", java, f"{problem}, or give --job_endpoint")


def _check_jar(options: "PipelineOptions", runner: str) -> None:
    """Beam downloads the jar of its own release, unless it has done so or is given one."""
    from apache_beam.options.pipeline_options import JobServerOptions

    name, jar = _JAVA[runner], _find_jar(options, runner)
    cache = options.view_as(JobServerOptions).jar_cache_dir or os.path.expanduser(JARS)
    if os.path.exists(jar) or os.path.exists(os.path.join(cache, os.path.basename(jar))):
        return
    try:
        with urllib.request.urlopen(urllib.request.Request(jar, method="HEAD"), timeout=_ANSWER_S):
            return
    except (OSError, ValueError) as error:
        problem = f"{runner} starts its job service from a jar, and {jar} cannot be had"
        advice = f"put it into {cache}, give --{name}=FILE, or --job_endpoint"
        raise ConfigError(name, None, f"{problem}; {advice}") from error


def _find_jar(options: "PipelineOptions", runner: str) -> str:
    """Where the jar is, or where Beam would download it from."""
    from apache_beam.runners.portability.flink_runner import FlinkJarJobServer
    from apache_beam.runners.portability.spark_runner import SparkJarJobServer

    make = FlinkJarJobServer if runner == "FlinkRunner" else SparkJarJobServer
    try:
        return str(make(options).path_to_jar())
    except ValueError as error:
        raise ConfigError(_JAVA[runner], None, str(error)) from error


def _check_prism(location: str | None) -> None:
    if location is not None and "://" not in location and not os.path.exists(location):
        raise ConfigError("prism_location", location, "there is no such file")
