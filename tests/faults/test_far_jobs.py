"""A job that another process runs is told of truthfully: interrupted, failed, or cut off."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.job_services import PRISM, JobService, find_free_port, serve_jobs
from tests.programs import ROOT
from tests.scenes import write_photos, write_slow

pytestmark = pytest.mark.slow

EMBEDDED = "--environment_type=beam:env:embedded_python:v1"
needs_prism = pytest.mark.skipif(not PRISM.exists(), reason="no Prism; make servers builds it")


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
    said, _ = program.communicate(timeout=120)
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
    said, _ = program.communicate(timeout=120)
    assert program.returncode == 1
    (sentence,) = said.splitlines()
    assert sentence.startswith("imgcls classify: the service stopped answering: job ")
    assert " may go on, and may still publish; nothing of it was published so far" in sentence


@contextlib.contextmanager
def serve_prism(folder: pathlib.Path) -> Iterator[tuple[list[str], "subprocess.Popen[bytes]"]]:
    """Prism and a pool of worker processes: the flags of a job, and the pool."""
    ports = find_free_port(), find_free_port()
    settings = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
    commands = (
        [str(PRISM), "--serve_http=false", f"--job_port={ports[0]}"],
        [*pool, f"--service_port={ports[1]}"],
    )
    with contextlib.ExitStack() as started, (folder / "engine.log").open("wb") as log:
        out = {"stdout": log, "stderr": log, "env": settings}
        for command in commands:
            process = started.enter_context(subprocess.Popen(command, **out))  # type: ignore[call-overload]
            started.callback(process.kill)
        yield (
            [
                *("--runner=PortableRunner", f"--job_endpoint=localhost:{ports[0]}"),
                *("--environment_type=EXTERNAL", f"--environment_config=localhost:{ports[1]}"),
            ],
            process,
        )


@pytest.mark.long
@needs_prism
def test_a_worker_that_is_killed_fails_the_run_and_publishes_nothing(
    many: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with serve_prism(tmp_path) as (flags, pool):
        program = start(tmp_path, [*make_words(many, tmp_path / "out", vit_folder), *flags])
        while not (workers := list_children(pool.pid)):
            assert program.poll() is None
            time.sleep(0.05)
        os.kill(workers[0], signal.SIGKILL)
        said, _ = program.communicate(timeout=60)
    assert program.returncode == 1
    assert said.splitlines()[-1].startswith(
        "imgcls classify: the run failed and nothing was published ("
    )
    assert not list((tmp_path / "out").glob("runs/*.json"))


def list_children(parent: int) -> list[int]:
    found = pathlib.Path(f"/proc/{parent}/task/{parent}/children")
    return [int(each) for each in found.read_text().split()]


@pytest.mark.long
@needs_prism
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_ends_prism_and_its_job(
    name: str, many: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    words = make_words(many, tmp_path / "out", vit_folder)
    flags = ["--runner=PrismRunner", f"--prism_location={PRISM}", f"--job_port={find_free_port()}"]
    program = start(tmp_path, [*words, *flags])
    while not (tmp_path / "out" / "_staging").exists():
        time.sleep(0.02)
        assert program.poll() is None
    program.send_signal(getattr(signal, name))
    said, _ = program.communicate(timeout=120)
    assert program.returncode == 1
    assert said.splitlines()[-1].startswith("imgcls classify: interrupted; ")
    assert "nothing was published" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@needs_prism
def test_prism_gives_the_table_and_its_errors_are_one_sentence(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 6)
    flags = ["--runner=PrismRunner", f"--prism_location={PRISM}"]
    words = make_words(photos, tmp_path / "out", vit_folder)
    program = start(tmp_path, [*words, *flags])
    said, _ = program.communicate(timeout=300)
    assert program.returncode == 0, said
    record = json.loads((tmp_path / "out" / "runs" / "a.json").read_text())
    assert record["counts"]["ok"] == 6
