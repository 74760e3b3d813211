"""A job that another process runs is told of truthfully: interrupted, failed, or cut off."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.job_services import JobService, serve_jobs
from tests.programs import ROOT
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
    write_slow(folder, (1500, 1200))
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
    # The service may run the job before the program has heard of its name: then it says less.
    last = said.splitlines()[-1].replace("the job was cancelled, ", "")
    assert last.startswith("imgcls classify: interrupted; nothing was published")
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
    assert sentence.startswith("imgcls classify: the service stopped answering: job ")
    assert " may go on, and may still publish; nothing of it was published so far" in sentence
