"""A job that another process runs is told of truthfully: interrupted, failed, or cut off."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.job_services import JobService, find_free_port, serve_jobs, serve_pool
from tests.programs import ROOT
from tests.runners import ON_PRISM, PRISM
from tests.scenes import write_slow

pytestmark = pytest.mark.slow

EMBEDDED = "--environment_type=beam:env:embedded_python:v1"


@pytest.fixture
def service(tmp_path: pathlib.Path) -> Iterator[JobService]:
    with serve_jobs(tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Images that take seconds."""
    folder = tmp_path_factory.mktemp("many")
    write_slow(folder, (1500, 1200), 60)
    return folder


def start(folder: pathlib.Path, words: list[str]) -> "subprocess.Popen[str]":
    settings = {**os.environ, "IMGCLS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pipelines", "classify", "--run_id=a", "--quiet", *words]
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=settings, text=True, **out)  # type: ignore[call-overload, no-any-return]


def make_words(photos: pathlib.Path, output: pathlib.Path, model: pathlib.Path) -> list[str]:
    return [f"--input={photos}", f"--output={output}", f"--model={model}", "--dedupe=off"]


def wait_for(program: "subprocess.Popen[str]", log: pathlib.Path, text: str) -> None:
    while text not in log.read_text():
        assert program.poll() is None, program.stdout and program.stdout.read()
        time.sleep(0.05)


def test_an_interrupt_cancels_the_job_and_nothing_is_published_later(
    service: JobService, many: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """This service says that it has cancelled a job, and goes on with it."""
    output = tmp_path / "out"
    words = make_words(many, output, vit_folder)
    flags = ["--runner=PortableRunner", f"--job_endpoint={service.endpoint}", EMBEDDED]
    program = start(tmp_path, [*words, *flags])
    wait_for(program, service.log, "Running")
    program.send_signal(signal.SIGTERM)
    said, _ = program.communicate(timeout=500)
    assert program.returncode == 1
    assert said.splitlines()[-1].startswith(
        "imgcls classify: interrupted; the job was cancelled, nothing was published"
    )
    wait_for_end(service)
    assert not list(output.glob("runs/*.json"))


def wait_for_end(service: JobService) -> None:
    """Until the service has come to the end of its only job."""
    while not any(word in service.log.read_text() for word in ("Error running", "Completed job")):
        time.sleep(0.1)


def test_the_death_of_the_service_is_one_sentence(
    service: JobService, many: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    words = make_words(many, tmp_path / "out", vit_folder)
    flags = ["--runner=PortableRunner", f"--job_endpoint={service.endpoint}", EMBEDDED]
    program = start(tmp_path, [*words, *flags])
    wait_for(program, service.log, "Running")
    service.process.kill()
    said, _ = program.communicate(timeout=500)
    assert program.returncode == 1
    (sentence,) = said.splitlines()
    # The service says "Running" before its answer is on its way: it may die between the two.
    assert re.match(
        "imgcls classify: the service stopped answering"
        "(: job .+ may go on, and may still publish; nothing of it was published so far"
        "| while the job was handed to its service, .+; nothing was published, and nothing of that "
        "job can be)",
        sentence,
    )


HANGS = """
import os, sys, time
import apache_beam as beam
from imgcls_beam.errors import PublishError
from imgcls_beam.options import OutputOptions
from pipelines import run_failures, runners, worker_watch

def hang(path):
    with open(path + ".part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(path + ".part", path)
    time.sleep(1_000_000)

pipeline = runners.make_pipeline(runners.to_beam_options(sys.argv[2:]))
with worker_watch.watch_workers(pipeline.options, settle_s=1) as (connect, heard):
    told = pipeline | beam.Create([sys.argv[1]], reshuffle=False)
    _ = (told if connect is None else told | connect) | beam.Map(hang)
    try:
        run_failures.run_to_end(pipeline, None, None, OutputOptions("out"), [heard])
    except PublishError as error:
        print(error, flush=True)
    os._exit(1)
"""
"""A job whose worker says which process it is, and comes to no end."""


@contextlib.contextmanager
def on_beams_own(folder: pathlib.Path) -> Iterator[list[str]]:
    worker = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"
    with serve_jobs(folder) as service:
        yield [
            *("--runner=PortableRunner", f"--job_endpoint={service.endpoint}"),
            "--environment_type=beam:env:harness_subprocess_python:v1",
            f"--environment_config={worker}",
        ]


@contextlib.contextmanager
def on_prism(folder: pathlib.Path) -> Iterator[list[str]]:
    with serve_pool(folder) as address:
        pool = ["--environment_type=EXTERNAL", f"--environment_config={address}"]
        yield [*ON_PRISM, f"--job_port={find_free_port()}", *pool]


@pytest.mark.parametrize(
    "engine",
    [
        on_beams_own,
        pytest.param(on_prism, marks=pytest.mark.skipif(PRISM is None, reason="no Prism")),
    ],
    ids=["Beam's own", "Prism"],
)
def test_a_worker_that_is_killed_fails_the_run(
    engine: Callable[[pathlib.Path], contextlib.AbstractContextManager[list[str]]],
    tmp_path: pathlib.Path,
) -> None:
    told = tmp_path / "worker"
    with engine(tmp_path) as flags:
        command = [sys.executable, "-c", HANGS, str(told), *flags]
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=ROOT, text=True, **out) as program:  # type: ignore[call-overload]
            while not told.exists():
                assert program.poll() is None
                time.sleep(0.05)
            os.kill(int(told.read_text()), signal.SIGKILL)
            said, _ = program.communicate(timeout=500)
    assert said.startswith(
        "the run failed and nothing was published (a worker process was killed, or ended by itself"
    )
