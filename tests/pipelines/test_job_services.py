"""What a portable job lacks is one sentence, before anything is submitted."""

import contextlib
import logging
import pathlib
from collections.abc import Callable, Sequence

import pytest
from apache_beam.options.pipeline_options import PortableOptions

from imgcls_beam.errors import ConfigError, PublishError
from pipelines import job_services, progress, run_failures, worker_watch
from pipelines.__main__ import main
from pipelines.beam_flags import parse_beam
from pipelines.runners import make_pipeline, to_beam_options
from tests.job_services import accept_only, find_free_port
from tests.scenes import write_photos

PORTABLE = "--runner=PortableRunner"
PLACES = ("--input=gs://bucket/photos", "--output=gs://bucket/labels")
ENDPOINT = "--job_endpoint=localhost:1"


def refuse(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert main(["classify", *PLACES, *flags]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    return sentence.removeprefix("imgcls classify: ")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((PORTABLE,), "job_endpoint=None: PortableRunner needs the address of a job service"),
        (
            (PORTABLE, ENDPOINT, "--environment_type=EXTERNAL"),
            "environment_config=None: EXTERNAL workers are found by an address",
        ),
        (
            (PORTABLE, ENDPOINT, "--environment_type=EXTERNAL", '--environment_config={"url":""}'),
            """environment_config='{"url":""}': EXTERNAL workers are found by an address""",
        ),
        (
            (PORTABLE, ENDPOINT, "--environment_type=PROCESS"),
            "environment_config=None: PROCESS workers are started by a command",
        ),
        (
            (PORTABLE, ENDPOINT, "--environment_type=PROCESS", "--environment_config={"),
            "environment_config='{': it is not JSON",
        ),
        (
            (PORTABLE, ENDPOINT, "--environment_type=loopback"),
            "environment_type='loopback': there is no such environment; did you mean LOOPBACK?",
        ),
        (
            ("--runner=FlinkRunner", "--job_server_java_launcher=/no/java"),
            "job_server_java_launcher='/no/java': FlinkRunner starts its job service with it",
        ),
        (
            ("--runner=SparkRunner", "--spark_job_server_jar=/no.jar"),
            "spark_job_server_jar='/no.jar': there is no such file",
        ),
        (
            ("--runner=PrismRunner", "--prism_location=/no/prism"),
            "prism_location='/no/prism': there is no such file",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_missing_in_the_flags_is_said(
    flags: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refuse(capsys, *flags).startswith(said)


@pytest.mark.parametrize(
    "flags",
    [
        ("--environment_type=EXTERNAL", "--environment_config=host:1"),
        ("--environment_type=EXTERNAL", '--environment_config={"url": "host:1"}'),
        ("--environment_type=EXTERNAL", "--environment_option=external_service_address=host:1"),
        ("--environment_type=PROCESS", '--environment_config={"command": "run"}'),
        ("--environment_type=PROCESS", "--environment_options=process_command=run"),
        ("--environment_type=DOCKER",),
        ("--environment_type=LOOPBACK",),
        ("--environment_type=beam:env:embedded_python:v1",),
        (),
    ],
    ids=" ".join,
)
def test_workers_that_can_be_had_are_no_problem(flags: tuple[str, ...]) -> None:
    job_services.check_portable(parse_beam([PORTABLE, ENDPOINT, *flags]))


def test_a_service_that_is_not_there_or_never_answers_is_not_waited_for() -> None:
    with accept_only() as silent:
        for endpoint in (silent, f"localhost:{find_free_port()}"):
            with pytest.raises(ConfigError, match=r"answered there for 0\.2 s"):
                job_services.check_endpoint(endpoint, limit_s=0.2)


def test_what_answers_and_is_no_job_service_is_told_apart() -> None:
    import grpc
    from apache_beam.utils.thread_pool_executor import shared_unbounded_instance

    server = grpc.server(shared_unbounded_instance())
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        with pytest.raises(ConfigError, match="there is no job service of Beam's"):
            job_services.check_endpoint(f"localhost:{port}", limit_s=60)
    finally:
        server.stop(0)


def test_a_job_asks_its_service_before_anything_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse_endpoint(endpoint: str) -> None:
        raise ConfigError("job_endpoint", endpoint, "asked")

    monkeypatch.setattr(job_services, "check_endpoint", refuse_endpoint)
    assert refuse(capsys, PORTABLE, ENDPOINT) == "job_endpoint='localhost:1': asked"


def test_who_shows_progress_and_who_watches_the_workers_are_told_of_the_job(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, watched = list[str](), list[str]()

    def submit(*given: Sequence[Callable[[str], None]]) -> None:
        for watch in given[-1]:
            watch("job")
        raise PublishError("it ends here")

    show = contextlib.nullcontext(shown.append)
    hear = contextlib.nullcontext((None, watched.append))
    monkeypatch.setattr(job_services, "check_endpoint", lambda endpoint: None)
    monkeypatch.setattr(progress, "show_progress", lambda job, **how: show)
    monkeypatch.setattr(worker_watch, "watch_workers", lambda options: hear)
    monkeypatch.setattr(run_failures, "run_to_end", submit)
    write_photos(tmp_path / "photos", 1)
    places = [f"--input={tmp_path}/photos", f"--output={tmp_path}/out", f"--model={vit_folder}"]
    assert main(["classify", *places, PORTABLE, ENDPOINT, "--environment_type=LOOPBACK"]) == 1
    assert (shown, watched) == (["job"], ["job"])


@pytest.mark.parametrize("runner", ["FlinkRunner", "SparkRunner"])
def test_a_jar_that_cannot_be_had_is_named(
    runner: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    def fail(*args: object, **more: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(job_services.urllib.request, "urlopen", fail)
    options = to_beam_options([f"--runner={runner}", f"--jar_cache_dir={tmp_path}"])
    with pytest.raises(ConfigError, match=r"-job-server-.*\.jar cannot be had"):
        job_services.ask_service(options)
    (name,) = [job_services._find_jar(options, runner).rpartition("/")[2]]
    (tmp_path / name).write_bytes(b"a jar")
    job_services.ask_service(options)


def test_options_that_beam_refuses_are_a_sentence() -> None:
    flags = ["--runner=PrismRunner", "--environment_type=DOCKER"]
    with pytest.raises(ConfigError, match="process_command is not compatible with environment"):
        make_pipeline(to_beam_options([*flags, "--environment_option=process_command=x"]))


def test_a_job_is_watched_for_longer_than_five_minutes() -> None:
    """On Prism Beam limits that by the time in which a service has to answer."""
    options = to_beam_options(["--runner=PrismRunner"]).view_as(PortableOptions)
    assert options.job_server_timeout > 365 * 24 * 3600
    options = to_beam_options(["--runner=PrismRunner", "--job_server_timeout=7"])
    assert options.view_as(PortableOptions).job_server_timeout == 7


@pytest.mark.parametrize(
    ("flags", "is_warned"),
    [
        (("--environment_type=EXTERNAL", "--environment_config=host:1"), True),
        ((), True),
        (("--environment_type=LOOPBACK",), False),
    ],
    ids=["external", "docker", "loopback"],
)
def test_places_of_this_machine_are_a_warning_where_workers_may_be_elsewhere(
    flags: tuple[str, ...],
    is_warned: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: pathlib.Path,
) -> None:
    def refuse_endpoint(endpoint: str) -> None:
        raise ConfigError("job_endpoint", endpoint, "asked")

    monkeypatch.setattr(job_services, "check_endpoint", refuse_endpoint)
    words = ["classify", f"--input={tmp_path}", f"--output={tmp_path}/out", PORTABLE, ENDPOINT]
    with caplog.at_level(logging.WARNING, "imgcls"):
        assert main([*words, *flags]) == 2
    warned = [each for each in caplog.messages if "lies on this machine" in each]
    assert bool(warned) is is_warned
    assert all(each.startswith(f"input={tmp_path}, output={tmp_path}/out: ") for each in warned)
