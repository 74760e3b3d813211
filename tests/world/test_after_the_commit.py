"""Once a run is published its exit code is 0 or 3, whatever becomes of standard output."""

import os
import pathlib
import subprocess
import sys

import pytest

from imgcls_beam.sinks import Session, commit
from pipelines import display, samples, startup, terminal
from pipelines.__main__ import main
from tests.scenes import write_broken, write_photos

_ROOT = pathlib.Path(__file__).parents[2]
_IMGCLS = f"{sys.executable} -m pipelines classify"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, 2)
    (folder / "0000.jpg").rename(folder / "gr\u00fc\u00df \u6f22.jpg")
    return folder


ENDINGS = {
    "a pipe that is closed": ("| true", {}),
    "a full disk": ("> /dev/full", {}),
    "closed, and standard error too": (">&- 2>&-", {}),
    "Latin-1": ("> {log}", {"PYTHONIOENCODING": "latin-1"}),
}


_SHORT = ("a full disk", "closed, and standard error too")
"""Of `make test`; each is a program of its own."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=() if each in _SHORT else pytest.mark.long) for each in ENDINGS],
)
def test_a_published_run_ends_with_0_whatever_standard_output_is(
    name: str, photos: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    end, settings = ENDINGS[name]
    output, errors = tmp_path / "out", tmp_path / "errors"
    flags = f"--input={photos} --output={output} --model={vit_folder} --run_id=r"
    redirected = end if "2>" in end else f"2> {errors} {end}"
    command = (
        f"{_IMGCLS} {flags} {redirected.format(log=tmp_path / 'log')}; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], cwd=_ROOT, env={**os.environ, **settings})
    assert (output / "runs" / "r.json").exists()
    assert done.returncode == 0, errors.read_text()
    assert not errors.exists() or "Traceback" not in errors.read_text(errors="replace")


def _classify(photos: pathlib.Path, output: pathlib.Path, model: pathlib.Path) -> int:
    places = [f"--input={photos}", f"--output={output}", f"--model={model}"]
    return main(["classify", *places, "--run_id=r"])


@pytest.mark.parametrize("fault", [OSError("gone"), KeyError("x"), ValueError("x")], ids=repr)
def test_rows_that_cannot_be_shown_are_published_all_the_same(
    fault: Exception,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object) -> str:
        raise fault

    monkeypatch.setattr(samples, "read_some_rows", fail)
    assert _classify(photos, tmp_path / "out", vit_folder) == 0
    assert (tmp_path / "out" / "runs" / "r.json").exists()


@pytest.mark.parametrize("fault", [OSError("gone"), KeyboardInterrupt()], ids=repr)
def test_what_fails_in_clearing_up_changes_nothing(
    fault: BaseException,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object, **more: object) -> None:
        raise fault

    monkeypatch.setattr(commit, "clear_finished", fail)
    assert _classify(photos, tmp_path / "out", vit_folder) == 0
    assert (tmp_path / "out" / "runs" / "r.json").exists()


def test_an_interrupt_after_the_commit_says_that_the_rows_are_published(
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(session: Session) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "read_record", interrupt)
    assert _classify(photos, tmp_path / "out", vit_folder) == 0
    assert (tmp_path / "out" / "runs" / "r.json").exists()
    assert "interrupted, but the rows were published before" in caplog.text
    assert "nothing was published" not in caplog.text + capsys.readouterr().err


def test_too_many_errors_stay_too_many(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(tmp_path / "photos", 1)
    write_broken(tmp_path / "photos", 2)

    def fail(*args: object) -> str:
        raise BrokenPipeError

    monkeypatch.setattr(display, "describe_end", fail)
    assert _classify(tmp_path / "photos", tmp_path / "out", vit_folder) == 3


@pytest.mark.slow
@pytest.mark.parametrize(("end", "code"), [("> /dev/full", 1)])
def test_an_answer_that_cannot_be_written_is_a_sentence(
    end: str, code: int, photos: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert _classify(photos, tmp_path / "out", vit_folder) == 0
    query = f"{sys.executable} -m pipelines sql --output={tmp_path}/out 'select 1'"
    command = f"{query} 2> {tmp_path}/errors {end}; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", command], cwd=_ROOT).returncode == code
    assert "Traceback" not in (tmp_path / "errors").read_text()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16", "cp1252", "utf-8"])
def test_any_text_is_said_in_any_encoding(
    encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    with open(tmp_path / "out", "w", encoding=encoding) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        startup.set_up_streams()
        terminal.say(lambda: "1 \u00d7 gr\u00fc\u00df \u6f22 \u00b7 \ud800\n")
    text = (tmp_path / "out").read_text(encoding=encoding)
    assert text.startswith("1 \u00d7" if encoding.startswith("utf") else "1 x gr")
    assert "ud800" in text


def test_a_job_that_was_submitted_is_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise UnicodeEncodeError("latin-1", "x", 0, 1, "x")

    terminal.say(fail)
