"""Models that fail in the middle of a run: a sentence, nothing published, no thousands of rows."""

import pathlib
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from imgcls_beam import asked_images, handler, health
from imgcls_beam.classifying.protocol import Logits
from imgcls_beam.classifying.torch_running import TorchRunner
from pipelines.__main__ import main
from tests.programs import ROOT
from tests.scenes import write_photos

IMAGES = 130
Pass = Callable[[TorchRunner, Any], Logits]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, IMAGES)
    return folder


class Sick:
    """Takes the place of `TorchRunner.run`: well for so many images, and then as it is told."""

    def __init__(self, well_images: int, then: Pass) -> None:
        self.left, self.then = well_images, then
        self.run = TorchRunner.run
        self.is_loaded = False

    def __call__(self, runner: TorchRunner, stacked: Any) -> Logits:
        if self.is_loaded:  # how many images loading takes depends on what was found out before
            self.left -= len(next(iter(stacked.values())))
        return self.run(runner, stacked) if self.left >= 0 else self.then(runner, stacked)


def list_words(photos: pathlib.Path, output: pathlib.Path, model: pathlib.Path) -> list[str]:
    places = [f"--input={photos}", f"--output={output}", f"--model={model}"]
    return ["classify", *places, "--run_id=a", "--engine=torch", "--dedupe=off"]


def classify(photos: pathlib.Path, output: pathlib.Path, model: pathlib.Path) -> int:
    return main(list_words(photos, output, model))


def fall_ill(monkeypatch: pytest.MonkeyPatch, well_images: int, then: Pass) -> None:
    sick, predict = Sick(well_images, then), handler.predict_begun

    def predict_loaded(*arguments: Any) -> Any:
        sick.is_loaded = True
        return predict(*arguments)

    monkeypatch.setattr(handler, "predict_begun", predict_loaded)
    # A model that has predicted thousands, in tests before, would be asked again much later.
    monkeypatch.setattr(health, "_MOST_IMAGES", 64)
    monkeypatch.setattr(TorchRunner, "run", lambda *arguments: sick(*arguments))


def give_nan(runner: TorchRunner, stacked: Any) -> Logits:
    return np.full((len(next(iter(stacked.values()))), 11), np.nan, np.float32)


def give_others(runner: TorchRunner, stacked: Any) -> Logits:
    count = len(next(iter(stacked.values())))
    return np.arange(count * 11, dtype=np.float32).reshape(count, 11) % 7


def give_too_few(runner: TorchRunner, stacked: Any) -> Logits:
    return np.zeros((len(next(iter(stacked.values()))) - 1, 11), np.float32)


def fail(runner: TorchRunner, stacked: Any) -> Logits:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


@pytest.mark.parametrize(
    ("then", "problem"),
    [
        (give_nan, "gives scores that are NaN or infinite"),
        (give_others, "gives other scores to the same pictures than when it was loaded"),
        (give_too_few, "fails on pictures that it could score"),
        (fail, "fails on pictures that it could score"),
    ],
)
def test_a_model_that_falls_ill_in_the_middle_publishes_nothing(
    then: Pass,
    problem: str,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fall_ill(monkeypatch, 50, then)
    assert classify(photos, tmp_path / "out", vit_folder) == 1
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert sentence == (
        "imgcls classify: the run failed and nothing was published "
        f"(the model {problem}{sentence.partition(problem)[2]}"
    )
    assert sentence.endswith("it is sick, or its device is)")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("share", "code"), [(4, 3), (1, 1)])
def test_a_model_that_fails_on_most_images_and_not_on_known_ones_ends_the_run(
    share: int,
    code: int,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One image of four, and each of them."""
    known, run = 2, TorchRunner.run
    numbers = iter(range(10**6))

    def fail_alone(runner: TorchRunner, stacked: Any) -> Logits:
        count = len(next(iter(stacked.values())))
        if count != known and (count > 1 or next(numbers) % share == 0):
            raise ValueError("this shape is not taken")
        return run(runner, stacked)

    monkeypatch.setattr(TorchRunner, "run", fail_alone)
    # Batches of odd size are halved to single images, and never to two at once.
    monkeypatch.setattr(asked_images, "_ask_isolated", answer_alone(asked_images._ask_isolated))
    assert classify(photos, tmp_path / "out", vit_folder) == code
    said = capsys.readouterr()
    if code == 1:
        assert re.search(r"failed on [56]\d of the last 100 images, and not on others", said.err)
        assert not (tmp_path / "out").exists()
    else:
        assert f"97 ok, 33 error of {IMAGES} listed" in said.out


def answer_alone(answer: Any) -> Any:
    def answer_each(images: Any, *rest: Any) -> Any:
        if len(images) == 1:
            return answer(images, *rest)
        return [each for image in images for each in answer([image], *rest)]

    return answer_each


_STAYS = """
import sys, threading
from imgcls_beam import asked_images, handler, health
from imgcls_beam.classifying.torch_running import TorchRunner
from imgcls_beam.classifying.watchdog import Watchdog
from pipelines.__main__ import main

asked_images.WATCHDOG = health.WATCHDOG = Watchdog(tick_s=0.05, first_s=600.0, least_s=1.0)
predict, run = handler.predict_begun, TorchRunner.run
left = [10**6]

def predict_some(*arguments):
    left[0] = min(left[0], 3)  # passes, once it is loaded
    return predict(*arguments)

def stay(runner, stacked):
    left[0] -= 1
    if left[0] < 0:
        threading.Event().wait()
    return run(runner, stacked)

handler.predict_begun, TorchRunner.run = predict_some, stay
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_model_that_never_comes_back_ends_the_run(
    photos: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """In a process of its own: what holds it up may only be ended with it."""
    command = [sys.executable, "-c", _STAYS, *list_words(photos, tmp_path / "out", vit_folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert re.search(
        r"the run failed and nothing was published "
        r"\(the model has not come back from a pass for \d+ s ",
        done.stderr.splitlines()[-1],
    )
    assert not (tmp_path / "out").exists()
    assert classify(photos, tmp_path / "out", vit_folder) == 0
    (part,) = (tmp_path / "out").glob("predictions/*/*/*/*.parquet")
    assert pq.ParquetFile(part).metadata.num_rows == IMAGES
