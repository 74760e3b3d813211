"""Several worker processes: one is killed, or the program alone gets a signal."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from imgcls_beam import stopping
from pipelines import worker_ends
from pipelines.worker_processes import find_workers
from tests.programs import ROOT
from tests.scenes import write_slow

PROCESSES = pathlib.Path("/proc")
only_linux = pytest.mark.skipif(
    not PROCESSES.exists(), reason="only Linux says which processes a program has started"
)
watched = worker_ends.end_with_workers
MODES = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Images that take seconds."""
    folder = tmp_path_factory.mktemp("many")
    write_slow(folder, (1500, 1200))
    return folder


def start(folder: pathlib.Path, many: pathlib.Path, model: pathlib.Path) -> "subprocess.Popen[str]":
    places = [f"--input={many}", f"--output={folder}/out", f"--model={model}"]
    words = ["classify", *places, "--dedupe=off", "--run_id=a", "--quiet", *MODES]
    settings = {**os.environ, "IMGCLS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pipelines", *words]
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=settings, text=True, **out)  # type: ignore[call-overload, no-any-return]


@contextlib.contextmanager
def fake_worker() -> Iterator["subprocess.Popen[bytes]"]:
    """A child that is called as a worker is."""
    name = "apache_beam.runners.worker.sdk_worker_main"
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", name])
    try:
        while find_workers(os.getpid()) != [child.pid]:
            time.sleep(0.01)
        yield child
    finally:
        child.kill()
        child.wait()


@only_linux
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_to_the_program_ends_its_workers(name: str) -> None:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with fake_worker() as child, pytest.raises(KeyboardInterrupt), watched():
            signal.raise_signal(getattr(signal, name))
        assert child.wait() == -signal.SIGKILL
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


@only_linux
def test_a_worker_that_ends_by_itself_interrupts_the_program_and_ends_the_others() -> None:
    """As Beam's own thread tells of it."""

    def raise_as_beam() -> None:
        raise RuntimeError("Worker subprocess exited with return code 137")

    before = threading.excepthook
    threading.excepthook = print
    try:
        with fake_worker() as child, stopping.stoppable(abandon=int) as run:
            with pytest.raises(KeyboardInterrupt), watched():
                threading.Thread(target=raise_as_beam).start()
                threading.Event().wait(60)
            assert run.reason is not None
            assert run.reason.startswith("a worker process was killed")
            assert child.wait() == -signal.SIGKILL
    finally:
        threading.excepthook = before


@pytest.mark.long(minutes=1)
@only_linux
def test_a_worker_that_is_killed_or_a_signal_ends_the_run_and_all_workers(
    many: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Beam's local runner waits for ever in both cases."""
    said = {
        "worker": "the run failed and nothing was published (a worker process was killed: ",
        "program": "interrupted; nothing was published",
    }
    programs = {who: start(tmp_path / who, many, vit_folder) for who in said}  # both at once
    for who, program in programs.items():
        workers: list[int] = []
        while len(workers) < 4 and program.poll() is None:  # a shell and a Python each
            time.sleep(0.05)
            workers = find_workers(program.pid)
        if who == "worker":
            os.kill(max(workers), signal.SIGKILL)
        else:
            program.send_signal(signal.SIGTERM)
        out, _ = program.communicate(timeout=300)
        assert program.returncode == 1
        (sentence,) = out.splitlines()
        assert sentence.startswith(f"imgcls classify: {said[who]}")
        assert not (tmp_path / who / "out").exists()
        while any((PROCESSES / str(pid) / "cmdline").exists() for pid in workers):
            time.sleep(0.05)  # until whoever takes up orphans has done so


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (137, "was killed: by hand, or because memory ran out"),
        (-9, "was killed: by hand, or because memory ran out"),
        (139, "was ended by signal 11"),
        (-6, "was ended by signal 6"),
        (1, "ended with exit code 1"),
    ],
)
def test_the_end_of_a_worker_is_explained(code: int, words: str) -> None:
    assert worker_ends._explain_end(code) == f"a worker process {words}"
