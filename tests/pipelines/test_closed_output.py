"""Standard output that is closed or full: what was asked for is done, or a sentence says it."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from imgcls_beam.errors import ConfigError
from pipelines import doctor

_ROOT = pathlib.Path(__file__).parents[2]
_FULL = pathlib.Path("/dev/full")
ANSWERS = ("--help", "--version", "--completion=bash", "template metadata")

pytestmark = pytest.mark.skipif(not _FULL.exists(), reason="there is no /dev/full")


def run(words: str, end: str) -> tuple[int, str]:
    """The exit code of a program whose output goes there, and what it says of that."""
    command = f"{sys.executable} -m pipelines {words} {end}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_that_nobody_reads_to_its_end_is_no_fault(words: str) -> None:
    assert run(words, "| true") == (0, "")
    assert run(words, ">&-") == (0, "")


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_that_a_full_disk_does_not_take_is_a_sentence(words: str) -> None:
    name = words.partition(" ")[0]
    who = "imgcls" if name.startswith("-") else f"imgcls {name}"
    said = f"{who}: the answer was not written to its end: No space left on device\n"
    assert run(words, "> /dev/full") == (1, said)


def check_well(_: object) -> Iterator[str]:
    yield "well"


def check_ill(_: object) -> Iterator[str]:
    yield "well so far"
    raise ConfigError("output", "x", "it is ill")


def open_full() -> TextIO:
    return _FULL.open("w")


def open_closed() -> TextIO:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize(("check", "code"), [(check_well, 0), (check_ill, 2)])
def test_doctor_makes_its_checks_though_nobody_sees_them(
    is_full: bool,
    check: doctor.Check,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(doctor, "_choose_checks", lambda _: [("a", check), ("b", check)])
    with open_full() if is_full else open_closed() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert doctor.main(["--model=demo/model"]) == code
    assert [each.getMessage() for each in caplog.records if each.name == "imgcls"] == [
        "the checks go on, but they could not be shown here: "
        + ("OSError" if is_full else "BrokenPipeError")
    ]
