"""Ctrl-C and SIGTERM to a job on Prism: what became of it is said, and nothing stays behind."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.job_services import JobService, serve_pool, serve_prism
from tests.processes import list_children, wait_for_end
from tests.programs import ROOT
from tests.runners import ON_PRISM, PRISM
from tests.scenes import write_photos

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PRISM is None, reason="no Prism: `make servers` builds it"),
]

IMAGES = 12
HOLDS = """
import pathlib, sys, threading
from apache_beam.runners.portability import portable_runner
from imgcls_beam import handler
from imgcls_beam.stores import Folder
from pipelines import far_jobs
from pipelines.__main__ import main

moment, told, *words = sys.argv[1:]
is_asked_to_stop = threading.Event()

def hold(now):
    if now == moment:
        pathlib.Path(told).touch()
        is_asked_to_stop.wait()

def hold_before(owner, name, now):
    act = getattr(owner, name)
    def hold_and_act(*given, **named):
        hold(now)
        return act(*given, **named)
    setattr(owner, name, hold_and_act)

hold_before(portable_runner.JobServiceHandle, "submit", "Prism is there")
hold_before(handler, "predict_begun", "images are classified")
swap, ask_to_cancel = Folder.swap, far_jobs.ask_to_cancel

def swap_and_hold(folder, name, *given):
    swap(folder, name, *given)
    if name.startswith("runs/"):
        hold("the rows are published")

def ask_and_go_on(*given):
    ask_to_cancel(*given)
    is_asked_to_stop.set()

Folder.swap, far_jobs.ask_to_cancel = swap_and_hold, ask_and_go_on
sys.exit(main(words))
"""
"""A job that stands still at one moment until it is asked to stop."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, IMAGES)
    return folder


@contextlib.contextmanager
def begin(
    command: list[str], told: pathlib.Path, settings: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A program that has told that it is where it is to be stopped."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=settings,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as program:
        while not told.exists():
            assert program.poll() is None, program.stdout and program.stdout.read()
            time.sleep(0.05)
        yield program


def stop_at(
    moment: str, number: signal.Signals, words: list[str], folder: pathlib.Path
) -> tuple[int, str]:
    """Sends a signal to a job at a moment; its exit code and what it said. No Prism is left."""
    settings = {**os.environ, "IMGCLS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", HOLDS, moment, str(folder / "told"), "classify", *words]
    with begin([*command, *ON_PRISM], folder / "told", settings) as program:
        engines = [pid for pid, name in list_children(program.pid).items() if name == "prism"]
        assert len(engines) == 1
        program.send_signal(number)
        said, _ = program.communicate(timeout=500)
    wait_for_end(engines)
    return program.returncode, said


def make_words(photos: pathlib.Path, output: pathlib.Path, model: pathlib.Path) -> list[str]:
    places = [f"--input={photos}", f"--output={output}", f"--model={model}"]
    return [*places, "--run_id=a", "--quiet"]


CANCELLED = "imgcls classify: interrupted; the job was cancelled, nothing was published"
NOT_BEGUN = "imgcls classify: interrupted; nothing was published"


@pytest.mark.parametrize("name", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("moment", "sentence"), [("Prism is there", NOT_BEGUN), ("images are classified", CANCELLED)]
)
def test_a_job_on_prism_that_is_stopped_is_cancelled_and_leaves_nothing(
    name: str,
    moment: str,
    sentence: str,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    output = tmp_path / "out"
    words = make_words(photos, output, vit_folder)
    code, said = stop_at(moment, signal.Signals[name], words, tmp_path)
    assert code == 1, said
    assert said.splitlines()[-1].startswith(sentence), said
    assert not output.exists()


@pytest.mark.parametrize("name", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.long)])
def test_a_job_on_prism_that_was_published_before_it_could_be_stopped_says_so(
    name: str, photos: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    output = tmp_path / "out"
    words = make_words(photos, output, vit_folder)
    code, said = stop_at("the rows are published", signal.Signals[name], words, tmp_path)
    assert code == 0, said
    assert "interrupted, but the rows were published before the job could be stopped" in said
    record = json.loads((output / "runs" / "a.json").read_text())
    assert record["counts"]["ok"] == IMAGES
    assert sorted(each.name for each in output.iterdir()) == ["predictions", "runs"]


WATCHED = """
import pathlib, sys
from apache_beam.runners.portability import portable_runner
from pipelines.__main__ import main

wait = portable_runner.PipelineResult.wait_until_finish

def tell_and_wait(*given):
    pathlib.Path(sys.argv[1]).touch()
    return wait(*given)

portable_runner.PipelineResult.wait_until_finish = tell_and_wait
sys.exit(main(sys.argv[2:]))
"""
"""A job that tells when it was submitted, and is waited for."""


@pytest.fixture
def prism(tmp_path: pathlib.Path) -> Iterator[JobService]:
    with serve_prism(tmp_path) as served:
        yield served


@pytest.mark.long  # for half a minute a service is asked to cancel
def test_a_job_whose_prism_does_not_answer_goes_on_under_its_id(
    prism: JobService, photos: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """A Prism that was started apart, with workers that were: they do not end with the program."""
    words = make_words(photos, tmp_path / "out", vit_folder)
    command = [sys.executable, "-c", WATCHED, str(tmp_path / "told"), "classify", *words]
    with serve_pool(tmp_path) as pool:
        apart = ["--environment_type=EXTERNAL", f"--environment_config={pool}"]
        runner = ["--runner=PortableRunner", f"--job_endpoint={prism.endpoint}"]
        with begin([*command, *runner, *apart], tmp_path / "told") as program:
            prism.process.send_signal(signal.SIGSTOP)
            program.send_signal(signal.SIGINT)
            said, _ = program.communicate(timeout=500)
    assert program.returncode == 1
    last = said.splitlines()[-1]
    found = re.match(
        r"imgcls classify: interrupted, but job (\S+) of the job service at (\S+) goes on", last
    )
    assert found is not None, last
    assert found[2] == prism.endpoint
    prism.process.send_signal(signal.SIGCONT)  # it may not have come to write of the job
    until_s = time.monotonic() + 60.0
    while found[1] not in prism.log.read_text() and time.monotonic() < until_s:
        time.sleep(0.2)
    assert found[1] in prism.log.read_text()
