"""What `doctor --runner=…` finds of an engine, without one."""

import pathlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.utils import shared

from imgcls_beam.errors import ConfigError
from pipelines import doctor_flags, engine_checks, runners

DOCKER = "workers are containers of"


def check(*flags: str) -> list[str]:
    asked = doctor_flags.parse_flags(flags)
    return list(engine_checks.check_engine(asked.beam))


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")


@pytest.fixture
def address() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def make_program(folder: pathlib.Path, name: str) -> pathlib.Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_without_a_runner_nothing_is_asked() -> None:
    assert doctor_flags.parse_flags([]).beam is None


def test_a_local_runner_needs_nothing() -> None:
    assert check("--runner=fnapi") == [
        "FnApiRunner works on this machine, and never touches the network"
    ]


def test_prism_is_the_one_that_is_given_or_on_the_path(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, no_programs: None
) -> None:
    prism = make_program(tmp_path, "prism")
    assert check("--runner=PrismRunner", f"--prism_location={prism}")[0] == f"Prism is {prism}"
    assert "Beam downloads it" in check("--runner=PrismRunner")[0]
    monkeypatch.setenv("PATH", str(tmp_path))
    found, workers = check("--runner=prism")
    assert found == f"Prism is {prism}"
    assert workers.startswith("workers are threads")


def test_a_service_that_listens_is_found(address: str) -> None:
    found, workers = check("--runner=FlinkRunner", f"--job_endpoint={address}")
    assert found == f"a service listens at {address}"
    assert workers.startswith(DOCKER)


def test_the_service_of_the_program_itself_needs_no_address() -> None:
    found, workers = check("--runner=PortableRunner", "--job_endpoint=embed")
    assert found.endswith("runs in the program that submits the job")
    assert workers.startswith(DOCKER)


@pytest.mark.parametrize("config", ["{}", '{{"url": "{}"}}'], ids=["address", "JSON"])
def test_a_pool_that_listens_is_found(address: str, config: str) -> None:
    pool = ["--environment_type=EXTERNAL", f"--environment_config={config.format(address)}"]
    _, workers = check("--runner=PortableRunner", f"--job_endpoint={address}", *pool)
    assert workers.startswith(f"a worker pool listens at {address};")


def test_flink_starts_its_service_with_java_and_a_jar(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = make_program(tmp_path, "java")
    monkeypatch.setenv("PATH", str(tmp_path))
    jars = f"--jar_cache_dir={tmp_path}"
    started, jar, workers = check("--runner=FlinkRunner", jars)
    assert started == f"FlinkRunner starts its job service with {java}"
    assert "Beam downloads it; --flink_job_server_jar=FILE" in jar
    assert workers.startswith("workers are threads")
    given = f"--flink_job_server_jar={java}"
    assert check("--runner=FlinkRunner", given)[1] == f"its jar is {java}"
    (tmp_path / "beam-runners-flink-1.19-job-server-2.77.0.jar").touch()
    assert check("--runner=FlinkRunner", jars)[1] == f"its jar is one of {tmp_path}"


@pytest.mark.parametrize(
    ("flags", "option", "problem"),
    [
        (["--runner=PrismRunner", "--prism_location=/gone"], "prism_location", "no such file"),
        (["--runner=PortableRunner"], "job_endpoint", "needs the address of a job service"),
        (["--runner=FlinkRunner"], "job_server_java_launcher", "it is not here; install a JRE"),
        (["--runner=FlinkRuner"], "runner", "did you mean FlinkRunner"),
        (
            ["--runner=PrismRunner", "--environment_type=EXTERNAL"],
            "environment_config",
            "found by an address",
        ),
        (["--runner=SparkRunner", "--job_endpoint=nowhere"], "job_endpoint", "HOST:PORT"),
        (["--runner=FnApiRunner", "--parties=3"], "flag", "nor Beam has such a flag"),
        (["localhost:1"], "argument", "it belongs to no flag"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    flags: list[str], option: str, problem: str, no_programs: None
) -> None:
    with pytest.raises(ConfigError, match=problem) as raised:
        check(*flags)
    assert raised.value.option == option


def test_an_address_where_nothing_listens_says_what_to_start(nobody: str) -> None:
    with pytest.raises(ConfigError, match="start the job service first"):
        check("--runner=PortableRunner", f"--job_endpoint={nobody}")
    pool = ["--environment_type=EXTERNAL", f"--environment_config={nobody}"]
    with pytest.raises(ConfigError, match="worker_pool_main"):
        check("--runner=PrismRunner", *pool)


def find_server(*flags: str) -> Any:
    """The job server that Beam would start for a job on Prism, or on a runner that looks for it."""
    server = PrismRunner().default_job_server(runners.to_beam_options(flags))
    return server._job_server


def test_a_job_on_prism_takes_the_one_on_the_path(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PrismRunner, "shared_handle", shared.Shared())
    prism = make_program(tmp_path, "prism")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server("--runner=PrismRunner")._path == str(prism)


@pytest.mark.parametrize("runner", ["DirectRunner", "SwitchingDirectRunner"])
def test_a_local_runner_takes_no_prism_wherever_there_is_one(
    runner: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would start it, or look for it on the network, before it runs the job itself."""
    monkeypatch.setattr(PrismRunner, "shared_handle", shared.Shared())
    make_program(tmp_path, "prism")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not pathlib.Path(find_server(f"--runner={runner}")._path).exists()


def test_a_local_runner_before_it_does_not_decide_which_prism_a_job_gets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PrismRunner, "shared_handle", shared.Shared())
    kept = find_server("--runner=DirectRunner")
    found = find_server("--runner=PrismRunner", "--prism_location=/there/prism")
    assert kept._path != found._path == "/there/prism"
