"""Models by their hub id, from a hub on loopback, and folders behind URLs."""

import collections
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import huggingface_hub.constants
import pytest
import transformers
from transformers import pipeline

from imgcls_beam.classifying import load_classifier
from imgcls_beam.classifying.protocol import ClassifierSpec
from imgcls_beam.errors import ConfigError, ModelError
from imgcls_beam.model_checks import check_model
from imgcls_beam.models import fetch_model, resolve_model
from imgcls_beam.preparing import draw_probes, load_preparer
from imgcls_beam.stores import open_store
from pipelines import pilot
from pipelines.__main__ import main
from tests.hub import LAYOUTS, Hub, write_layout
from tests.models import make_model
from tests.pipelines.test_classify import read_record, read_rows
from tests.scenes import write_photos

ROOT = pathlib.Path(__file__).parents[2]
VIT = "google/vit-base-patch16-224"
TOLERANCE = 1e-5


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[Hub]:
    """A hub that this process asks; its cache is new."""
    served = Hub()
    constants = huggingface_hub.constants
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE
    path = template.removeprefix(constants.ENDPOINT)
    monkeypatch.setattr(constants, "ENDPOINT", served.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.endpoint + path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "models"))
    fetch_model.cache_clear()
    yield served
    served.close()


def run(tmp_path: pathlib.Path, model: str, *flags: str) -> int:
    if not (tmp_path / "photos").exists():
        write_photos(tmp_path / "photos", 20, seed=5)
    arguments = [f"--input={tmp_path / 'photos'}", f"--output={tmp_path / 'out'}", "--run_id=r1"]
    return main(["classify", *arguments, f"--model={model}", *flags])


def ask_reference(tmp_path: pathlib.Path, folder: pathlib.Path) -> dict[str, list[dict[str, Any]]]:
    """The reference's answers of a folder, whose config it must be able to read."""
    readable = pathlib.Path(shutil.copytree(folder, tmp_path / "readable"))
    path = readable / "preprocessor_config.json"
    text = path.read_text().replace("ViTFeatureExtractor", "ViTImageProcessor")
    path.write_text(text)
    reference = pipeline("image-classification", model=str(readable), device="cpu")
    photos = (tmp_path / "photos").iterdir()
    return {f"file://{photo}": reference(str(photo), top_k=5) for photo in photos}


def assert_equal(rows: list[dict[str, Any]], expected: dict[str, list[dict[str, Any]]]) -> None:
    assert {row["image_uri"] for row in rows} == set(expected)
    for row in rows:
        pairs = list(zip(row["predictions"], expected[row["image_uri"]], strict=True))
        assert [a["label"] for a, _ in pairs] == [b["label"] for _, b in pairs]
        assert max(abs(a["score"] - b["score"]) for a, b in pairs) <= TOLERANCE


def check_layout(hub: Hub, tmp_path: pathlib.Path, name: str, folder: pathlib.Path) -> None:
    commit = hub.publish(name, folder)
    assert run(tmp_path, name) == 0
    rows = read_rows(tmp_path / "out")
    assert_equal(rows, ask_reference(tmp_path, folder))
    assert {row["model_revision"] for row in rows} == {commit}
    _, weights = LAYOUTS[name]
    recorded = read_record(tmp_path / "out")["model"]
    key = f"{name}@{commit[:12]}"
    assert recorded == {"id": name, "revision": commit, "key": key, "weights": weights}
    files = {each.rpartition("/")[2] for each in hub.asked if "/resolve/" in each}
    assert files == {"config.json", "preprocessor_config.json", weights}


@pytest.mark.parametrize(
    "name", [VIT, *(pytest.param(each, marks=pytest.mark.slow) for each in LAYOUTS if each != VIT)]
)
def test_the_published_layouts_load_by_hub_id_and_give_the_references_scores(
    hub: Hub, tmp_path: pathlib.Path, name: str
) -> None:
    check_layout(hub, tmp_path, name, write_layout(tmp_path / "model", name))


@pytest.mark.long(minutes=1)
def test_the_default_model_works_in_its_full_size(hub: Hub, tmp_path: pathlib.Path) -> None:
    folder = write_layout(tmp_path / "model", VIT, is_full_size=True)
    assert (folder / "model.safetensors").stat().st_size > 340e6
    check_layout(hub, tmp_path, VIT, folder)


def test_a_model_of_the_hub_is_looked_at_without_fetching_its_weights(
    hub: Hub, tmp_path: pathlib.Path
) -> None:
    hub.publish(VIT, folder := write_layout(tmp_path / "model", VIT))
    check_model(resolve_model(VIT, None))
    assert not list((tmp_path / "hub").rglob("model.safetensors"))
    (folder / "preprocessor_config.json").write_text('{"image_processor_type": "Nope"}')
    hub.publish("owner/other", folder)
    with pytest.raises(ModelError, match="owner/other: its image processor cannot be loaded"):
        check_model(resolve_model("owner/other", None))
    (folder / "model.safetensors").write_bytes(b"not at all")
    with pytest.raises(ModelError, match=r"owner/other: model\.safetensors is not a safetensors"):
        check_model(resolve_model("owner/other", None))


def test_the_labels_of_a_published_model_are_its_own(hub: Hub, tmp_path: pathlib.Path) -> None:
    name = "Falconsai/nsfw_image_detection"
    hub.publish(name, write_layout(tmp_path / "model", name))
    preparer = load_preparer(source := resolve_model(name, None))
    spec = ClassifierSpec(source, preparer.affine)
    card = load_classifier(spec, functools.partial(draw_probes, preparer)).describe()
    assert card.labels == ("normal", "nsfw")


def test_a_revision_that_moves_during_the_run_does_not_change_the_rows(
    hub: Hub, tmp_path: pathlib.Path
) -> None:
    first = make_model(tmp_path / "first", seed=1)
    commit = hub.publish("x/y", first)
    second = make_model(tmp_path / "second", seed=2)

    def move(path: str) -> None:
        if path == "/api/models/x/y" and len(hub.repositories["x/y"].commits) == 1:
            hub.publish("x/y", second)

    hub.after = move
    assert run(tmp_path, "x/y") == 0
    assert hub.repositories["x/y"].branches["main"] != commit
    rows = read_rows(tmp_path / "out")
    assert {row["model_revision"] for row in rows} == {commit}
    assert_equal(rows, ask_reference(tmp_path, first))


def test_a_branch_a_tag_and_a_commit_are_resolved_to_forty_digits(
    hub: Hub, tmp_path: pathlib.Path
) -> None:
    old = hub.publish("x/y", make_model(tmp_path / "old", seed=1))
    new = hub.publish("x/y", make_model(tmp_path / "new", seed=2))
    hub.repositories["x/y"].branches["v1.0"] = old
    assert resolve_model("x/y", None).revision == new
    assert resolve_model("x/y", "main").revision == new
    assert resolve_model("x/y", "v1.0").revision == old
    assert resolve_model("x/y", old).revision == old
    for missing in ("v2", "0" * 40):
        with pytest.raises(ConfigError, match="x/y has no such revision"):
            resolve_model("x/y", missing)


@pytest.mark.parametrize("is_gated", [True, False])
def test_a_model_that_is_not_for_everybody_needs_a_token(
    hub: Hub,
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_gated: bool,
) -> None:
    hub.publish("x/y", vit_folder, token="hf_right", is_gated=is_gated)
    for token in ("", "hf_wrong"):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        assert run(tmp_path, "x/y") == 2
        message = capsys.readouterr().err
        assert "HF_TOKEN" in message
        assert message.count("\n") == 1
        assert ("accept its terms" in message) is is_gated
        assert "hf_wrong" not in message
        assert not (tmp_path / "out").exists()
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert run(tmp_path, "x/y") == 0
    shown = capsys.readouterr()
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert "hf_right" not in shown.out + shown.err
    assert all(b"hf_right" not in path.read_bytes() for path in written)
    assert_equal(read_rows(tmp_path / "out"), ask_reference(tmp_path, vit_folder))


def test_offline_the_cache_answers_and_nothing_is_asked(
    hub: Hub, tmp_path: pathlib.Path, vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.publish("x/y", vit_folder)
    source = resolve_model("x/y", None)
    folder = fetch_model(source)
    hub.asked.clear()
    fetch_model.cache_clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert resolve_model("x/y", None) == source
    assert fetch_model(source) == folder
    assert source.revision == commit
    assert hub.asked == []
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
        resolve_model("x/z", None)


@pytest.mark.slow  # the hub's library tries for 20 s
def test_a_hub_that_went_away_after_the_launch_is_said_to_be_away(
    hub: Hub, vit_folder: pathlib.Path
) -> None:
    hub.publish("x/y", vit_folder)
    source = resolve_model("x/y", None)
    hub.close()
    with pytest.raises(ModelError, match="could not be reached"):
        fetch_model(source)


def test_a_model_without_weights_that_are_read_is_refused_by_what_it_has(
    hub: Hub, tmp_path: pathlib.Path
) -> None:
    folder = write_layout(tmp_path / "model", VIT)
    (folder / "model.safetensors").unlink()
    hub.publish("x/y", folder)
    for model in ("x/y", str(folder)):
        with pytest.raises(ConfigError, match=r"but flax_model\.msgpack: weights for Flax"):
            resolve_model(model, None)


def test_a_pickle_of_the_hub_is_not_fetched_where_only_safetensors_may_be_read(
    hub: Hub, tmp_path: pathlib.Path
) -> None:
    folder = write_layout(tmp_path / "model", VIT)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    hub.publish("x/y", folder)
    with pytest.raises(ConfigError, match=r"x/y has no model\.safetensors, and pytorch_model\.bin"):
        resolve_model("x/y", None, "safetensors")
    assert not [each for each in hub.asked if "/resolve/" in each]


@pytest.mark.slow
def test_a_plan_says_the_licence_of_a_model_of_the_hub(
    hub: Hub,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_layout(tmp_path / "model", VIT)
    write_photos(tmp_path / "photos", 2)
    monkeypatch.setattr(pilot, "time_start", lambda words: 2.0)
    said = []
    for name, card in (("x/with", "license: apache-2.0\n"), ("x/without", "tags: [vision]\n")):
        (folder / "README.md").write_text(f"---\n{card}---\n# A model\n")
        hub.publish(name, folder)
        assert main(["plan", f"--input={tmp_path / 'photos'}", f"--model={name}", "--json"]) == 0
        said.append(json.loads(capsys.readouterr().out)["model"]["licence"])
    assert said == ["apache-2.0", None]


def put_on_store(folder: pathlib.Path, url: str) -> None:
    store, path = open_store("model", url)
    store.makedirs(path, exist_ok=True)
    for file in folder.iterdir():
        if file.is_file():  # importing makes folders of bytecode
            store.pipe_file(f"{path.rstrip('/')}/{file.name}", file.read_bytes())


def test_a_folder_behind_a_url_is_a_model(
    hub: Hub, tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    put_on_store(vit_folder, "memory://models/vit")
    put_on_store(tmp_path, "memory://models/vit/nested")
    assert run(tmp_path, "memory://models/vit/") == 0
    rows = read_rows(tmp_path / "out")
    assert_equal(rows, ask_reference(tmp_path, vit_folder))
    assert {row["model_revision"] for row in rows} == {
        resolve_model(str(vit_folder), None).revision
    }
    assert {row["model_id"] for row in rows} == {"memory://models/vit"}
    assert hub.asked == []


def test_a_folder_behind_a_url_that_changed_since_the_launch_is_found(
    hub: Hub, vit_folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_store(vit_folder, "memory://changing")
    source = resolve_model("memory://changing", None)
    put_on_store(make_model(tmp_path / "other", seed=9), "memory://changing")
    with pytest.raises(ModelError, match="changed since the job was started"):
        fetch_model(source)  # on a worker: its process has not fetched it
    assert hub.asked == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("memory://nowhere", "there is no such folder"),
        ("memory://empty", "the folder has no config.json"),
        ("gs://bucket/model", "pip install"),
    ],
)
def test_a_url_without_a_model_is_refused(hub: Hub, url: str, problem: str) -> None:
    put_on_store(ROOT / "schemas", "memory://empty")
    if url.startswith("gs://") and _is_installed("gcsfs"):
        pytest.skip("gcsfs is installed here")
    with pytest.raises(ConfigError, match=problem):
        resolve_model(url, None)
    assert hub.asked == []


def _is_installed(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None


RACE = """
import json, pathlib, sys, time
import fsspec
from fsspec.implementations.local import LocalFileSystem

class Slow(LocalFileSystem):
    protocol = "s3"
    @classmethod
    def _strip_protocol(cls, path):
        return LocalFileSystem._strip_protocol(path.removeprefix("s3:/"))
    def get_file(self, path, *arguments, **more):
        with open(sys.argv[3], "a") as log:
            log.write(pathlib.Path(path).name + "\\n")
        time.sleep(0.2)
        super().get_file(path, *arguments, **more)

fsspec.register_implementation("s3", Slow, clobber=True)
from imgcls_beam.scoring import ModelSource
from imgcls_beam.models import fetch_model, resolve_model
source = ModelSource(**json.loads(sys.argv[2])) if sys.argv[2] else resolve_model(sys.argv[1], None)
print(json.dumps([source.revision, str(fetch_model(source))]))
"""


def race(tmp_path: pathlib.Path, model: str, source: str, **environment: str) -> list[list[str]]:
    """Four processes fetch one model together; the answer of each."""
    command = [sys.executable, "-c", RACE, model, source, str(tmp_path / "log")]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    started = [
        subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    answers = []
    for process in started:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
        answers.append(json.loads(out))
    return answers


@pytest.mark.slow
def test_processes_that_want_a_folder_behind_a_url_together_fetch_it_once(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    cache = tmp_path / "cache"
    answers = race(tmp_path, f"s3:/{vit_folder}", "", IMGCLS_CACHE=str(cache))
    assert len({tuple(each) for each in answers}) == 1
    fetched = collections.Counter((tmp_path / "log").read_text().split())
    assert fetched == dict.fromkeys(
        ("config.json", "model.safetensors", "preprocessor_config.json"), 1
    )
    assert [path.name for path in cache.iterdir() if ".part-" in path.name] == []


@pytest.mark.slow
def test_processes_that_want_a_hub_model_together_fetch_its_weights_once(
    hub: Hub, tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    commit = hub.publish("x/y", vit_folder)
    fields = {"model_id": "x/y", "revision": commit, "location": "x/y", "commit": commit}
    source = json.dumps({**fields, "weights": "model.safetensors"})
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
    answers = race(tmp_path, "x/y", source, **settings)
    assert len({tuple(each) for each in answers}) == 1
    assert hub.count("GET /cdn/.*/model.safetensors") == 1
    assert transformers.AutoConfig.from_pretrained(answers[0][1]).model_type == "vit"


def test_a_copy_that_was_killed_is_not_taken_for_a_whole_one(
    hub: Hub, tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    put_on_store(vit_folder, "memory://killed")
    folder = fetch_model(resolve_model("memory://killed", None))
    # What a process leaves that dies while it copies, and files without the mark of a whole copy.
    (folder.parent / f"{folder.name}.part-dead").mkdir()
    (folder / "revision").unlink()
    (folder / "model.safetensors").write_bytes(b"half")
    fetch_model.cache_clear()
    again = fetch_model(resolve_model("memory://killed", None))
    assert (again / "model.safetensors").read_bytes() == (
        vit_folder / "model.safetensors"
    ).read_bytes()
    assert [path.name for path in again.parent.iterdir() if ".part-" in path.name] == []
