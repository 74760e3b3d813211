"""Models that no worker could load are refused where a job is started, without their weights."""

import json
import pathlib
import shutil
from collections.abc import Callable

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from imgcls_beam.errors import ModelError
from imgcls_beam.model_checks import check_model
from imgcls_beam.models import resolve_model
from pipelines import job_services, run_failures
from pipelines.__main__ import main
from tests.models import FAMILIES
from tests.scenes import write_photos


def change(folder: pathlib.Path, name: str, **settings: object) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_bytes()) | settings))


def keep(folder: pathlib.Path, is_kept: Callable[[str], bool]) -> None:
    path = folder / "model.safetensors"
    save_file({name: each for name, each in load_file(path).items() if is_kept(name)}, path)


DEFECTS: dict[str, tuple[Callable[[pathlib.Path], None], str]] = {
    "labels": (
        lambda folder: change(folder, "config.json", id2label={"zero": "cat"}),
        "keys that are not the numbers of classes",
    ),
    "too many labels": (
        lambda folder: change(folder, "config.json", id2label=None, num_labels=10**9),
        "num_labels of its config.json is 1,000,000,000",
    ),
    "too many layers": (
        lambda folder: change(folder, "config.json", num_hidden_layers=100_000),
        "makes more than 20,000 parts of a model",
    ),
    "no such family": (
        lambda folder: change(folder, "config.json", model_type="nope"),
        "the model cannot be loaded",
    ),
    "a setting": (
        lambda folder: change(folder, "config.json", hidden_size="wide"),
        "no model can be made with that",
    ),
    "processor": (
        lambda folder: change(folder, "preprocessor_config.json", image_processor_type="Nope"),
        "its image processor cannot be loaded",
    ),
    "no head": (
        lambda folder: keep(folder, lambda name: not name.startswith("classifier")),
        "it would predict at random",
    ),
}


@pytest.fixture
def folder(vit_folder: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(vit_folder, tmp_path / "model"))


@pytest.mark.parametrize("name", DEFECTS)
def test_a_model_that_no_worker_could_load_is_refused(name: str, folder: pathlib.Path) -> None:
    spoil, said = DEFECTS[name]
    spoil(folder)
    with pytest.raises(ModelError, match=said):
        check_model(resolve_model(str(folder), None))


def test_a_shard_that_went_after_the_model_was_pinned_is_missed(folder: pathlib.Path) -> None:
    model = transformers.AutoModelForImageClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    source = resolve_model(str(folder), None)
    check_model(source)
    next(folder.glob("model-00002-of-*")).unlink()
    with pytest.raises(ModelError, match=r"its index names model-00002-of-.*, which is not there"):
        check_model(source)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_that_can_be_loaded_passes(
    family: str, model_folders: dict[str, pathlib.Path]
) -> None:
    check_model(resolve_model(str(model_folders[family]), None))


def test_no_tensor_is_read(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "model.safetensors"
    source = resolve_model(str(folder), None)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    with path.open("r+b") as file:
        file.truncate(8 + length)  # the header alone
    monkeypatch.setattr(torch, "load", None)
    check_model(source)


def test_a_job_with_such_a_model_is_refused_before_it_is_submitted(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def submit(*given: object) -> None:
        raise AssertionError("it was submitted")

    monkeypatch.setattr(job_services, "check_endpoint", lambda endpoint: None)
    monkeypatch.setattr(run_failures, "run_to_end", submit)
    write_photos(tmp_path / "photos", 1)
    spoil, said = DEFECTS["no head"]
    spoil(folder)
    places = [f"--input={tmp_path / 'photos'}", f"--output={tmp_path / 'out'}"]
    runner = ["--runner=PortableRunner", "--job_endpoint=localhost:1"]
    words = ["classify", *places, f"--model={folder}", *runner, "--environment_type=LOOPBACK"]
    assert main(words) == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert said in sentence
    assert not (tmp_path / "out").exists()
