"""Ctrl-C and SIGTERM: one sentence, nothing left, and what others say is in a file."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.programs import ROOT, Mother
from tests.scenes import write_broken, write_photos


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_run_that_is_stopped_says_one_sentence_and_leaves_nothing(
    name: str, mother: Mother, many: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    places = [f"--input={many}", f"--output={tmp_path}/out", f"--model={vit_folder}"]
    log = tmp_path / "log"
    program = mother.start(["classify", *places, "--dedupe=off", "--run_id=a"], log)
    while not (tmp_path / "out" / "_staging").exists():
        time.sleep(0.02)
    time.sleep(0.5)  # until it is at work
    os.kill(program.pid, getattr(signal, name))
    assert program.wait() == 1
    (sentence,) = log.read_text().splitlines()
    assert sentence.startswith("imgcls classify: interrupted; nothing was published")
    assert not (tmp_path / "out").exists()


def run(folder: pathlib.Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-m", "pipelines", *argv]
    settings = {**os.environ, "IMGCLS_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(program, cwd=ROOT, env=settings, capture_output=True, text=True)


NOISY = """
import os, sys, warnings, logging, threading
from pipelines import program
def act(words, how):
    logging.getLogger("some.library").error("a library's error")
    logging.getLogger("some.library").warning("x" * 100)
    logging.getLogger("imgcls").info("said by us")
    warnings.warn("a warning")
    os.write(2, b"from C\\n")
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start(); thread.join()
    if words: raise ZeroDivisionError("a defect")
    return 0, lambda: {"x": float("nan")}
sys.exit(program.run_main("noisy", sys.argv[1:], act))
"""


@pytest.mark.parametrize("asked", ["", "--json", "--verbose", "fail"])
def test_what_others_say_is_in_a_file_that_is_named(asked: str, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", NOISY, *([asked] if asked else [])]
    settings = {**os.environ, "IMGCLS_CACHE": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)
    files = list((tmp_path / "logs").glob("noisy-*.log"))
    assert "INFO imgcls: said by us" in done.stderr
    if asked == "--verbose":
        assert files == []
        assert "a library's error" in done.stderr and "from C" in done.stderr
        return
    (file,) = files
    kept = file.read_text()
    for text in ("a library's error", "a warning", "from C", "ZeroDivisionError"):
        assert text in kept
        assert asked == "fail" or text not in done.stderr
    assert "Traceback" not in done.stderr
    if asked == "--json":
        assert json.loads(done.stdout)["log"] == str(file)
    if asked == "fail":
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            "imgcls noisy: this is a defect; please report it (ZeroDivisionError: a defect); "
            f"more in {file}"
        )


def test_old_files_are_removed_and_empty_ones_too(tmp_path: pathlib.Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for index in range(30):
        (logs / f"old-{index}.log").write_text("x")
        os.utime(logs / f"old-{index}.log", (index, index))
    assert run(tmp_path, "template", "metadata").returncode == 0
    left = {path.name for path in logs.iterdir()}
    assert left == {f"old-{index}.log" for index in range(11, 30)}


@pytest.mark.slow
def test_a_run_shows_nothing_of_other_libraries(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    write_photos(tmp_path / "photos", 4)
    write_broken(tmp_path / "photos", 1)
    places = [f"--input={tmp_path}/photos", f"--output={tmp_path}/out", f"--model={vit_folder}"]
    done = run(tmp_path / "cache", "classify", *places, "--run_id=a")
    assert (done.returncode, done.stderr) == (3, "")
    shown = done.stdout.splitlines()
    assert "4 ok, 1 error of 5 listed" in done.stdout
    assert f"  1 × read: empty, first file://{tmp_path}/photos/broken-0-empty.jpg" in shown
    assert re.search(r"images/s while they were classified · .* s in all", done.stdout)
    assert f"next: imgcls report --output={tmp_path}/out --run_id=a" in shown
