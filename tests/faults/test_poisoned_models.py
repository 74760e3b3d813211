"""Models made to do harm: each is a sentence before anything is built of it."""

import json
import os
import pathlib
import shutil
import zipfile
from typing import Any

import pytest
import torch

from imgcls_beam.errors import ConfigError, ImgclsError, ModelError
from imgcls_beam.handler import ImageClassificationModelHandler
from imgcls_beam.json_bounds import MAX_BYTES, MAX_CONTAINERS, MAX_LEVELS
from imgcls_beam.models import MAX_LABELS, resolve_model
from tests.models import make_model

SHALLOW = "[" * MAX_LEVELS + "]" * MAX_LEVELS


@pytest.fixture
def folder(vit_folder: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(vit_folder, tmp_path / "model"))


def load(folder: pathlib.Path) -> None:
    ImageClassificationModelHandler(str(folder), engine="torch").load_model()


def refuse(folder: pathlib.Path) -> str:
    with pytest.raises(ImgclsError) as caught:
        load(folder)
    assert isinstance(caught.value, ConfigError | ModelError)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def change(folder: pathlib.Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"num_labels": 10**9, "id2label": None}, "num_labels of its config.json is 1,000,000,000"),
    ({"num_labels": MAX_LABELS + 1, "id2label": None}, "1,000,000 labels at most"),
    ({"num_labels": 400_000, "id2label": None}, "400,000; its weights have"),
    ({"text_config": {"num_labels": 10**9}}, "text_config.num_labels of its config.json"),
    ({"num_hidden_layers": 10**9}, "num_hidden_layers of its config.json is 1,000,000,000"),
    ({"num_hidden_layers": 10**6}, "makes more than 20,000 parts of a model"),
    ({"hidden_size": 10**7, "num_attention_heads": 1}, "which its files cannot hold"),
    ({"intermediate_size": 10**6}, "which its files cannot hold"),
    ({"depths": [10**6] * 100}, "depths of its config.json is 100,000,000, which no model has"),
    ({"attn_implementation": "owner/kernel"}, "names code of others, which is never run here"),
    ({"_attn_implementation": "owner/kernel@main:layer"}, "names code of others"),
]


@pytest.mark.parametrize(("changes", "problem"), CLAIMS, ids=[each[1][:30] for each in CLAIMS])
def test_a_config_that_claims_too_much_is_refused(
    changes: dict[str, Any], problem: str, folder: pathlib.Path
) -> None:
    change(folder, "config.json", **changes)
    assert problem in refuse(folder)


SIZES: list[tuple[dict[str, Any], str]] = [
    ({"size": {"height": 20_000, "width": 20_000}}, "size.height is 20,000"),
    ({"size": 20_000}, "size is 20,000"),
    ({"crop_size": {"height": 9_000.5, "width": 9_000}}, "crop_size.height is 9,000.5"),
    ({"size_divisor": 10**6}, "size_divisor is 1,000,000"),
    ({"crop_pct": 1e-6}, "crop_pct is 1e-06, and 0.05 is the smallest here"),
    ({"max_pixels": 10**9}, "images of 16,777,216 pixels are the largest here"),
]


@pytest.mark.parametrize(("changes", "problem"), SIZES, ids=[each[1][:15] for each in SIZES])
def test_a_processor_that_makes_images_too_large_is_refused(
    changes: dict[str, Any], problem: str, folder: pathlib.Path
) -> None:
    change(folder, "preprocessor_config.json", **changes)
    assert problem in refuse(folder)


def test_a_seed_may_be_any_number_and_what_is_large_but_real_is_loaded(
    folder: pathlib.Path,
) -> None:
    change(folder, "config.json", seed=2**32 - 1, vocab_size=256_000)
    change(folder, "preprocessor_config.json", do_resize=True, seed_of_crops=None)
    load(folder)


def test_a_model_of_many_labels_is_loaded(tmp_path: pathlib.Path) -> None:
    load(make_model(tmp_path / "model", num_labels=21_843))


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "is nested deeper than 64 levels"),
        ('{"a": ' + "[" * 100_000, "is nested deeper than 64 levels"),
        ('{"a": ' + SHALLOW + "}", "is nested deeper than 64 levels"),
        ('{"a": [' + "[]," * MAX_CONTAINERS + "[]]}", "has more than 100,000 lists and objects"),
        ('{"a": "' + " " * MAX_BYTES + '"}', "is larger than 8 MiB"),
    ],
    ids=["deep", "deep and cut", "one level", "lists", "large"],
)
def test_a_file_of_json_is_bounded(
    name: str, text: str, problem: str, folder: pathlib.Path
) -> None:
    (folder / name).write_text(text)
    message = refuse(folder)
    assert f"{name} {problem}" in message


def test_brackets_in_labels_are_no_levels(folder: pathlib.Path) -> None:
    labels = {str(index): "[{" * 40 + '\\"' for index in range(11)}
    change(folder, "config.json", id2label=labels, unknown=json.loads(SHALLOW[1:-1]))
    load(folder)


def test_an_index_is_bounded_too(folder: pathlib.Path) -> None:
    (folder / "model.safetensors").unlink()
    index = '{"weight_map": ' + "[" * 1000 + "]" * 1000 + "}"
    (folder / "model.safetensors.index.json").write_text(index)
    assert "model.safetensors.index.json is nested deeper" in refuse(folder)


def test_the_header_of_safetensors_is_bounded(folder: pathlib.Path) -> None:
    header = b'{"a":[' + b"[]," * 200_000 + b"[]]}"
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "has a header that has more than 100,000 lists" in refuse(folder)


def test_safetensors_that_lie_about_a_shape_are_refused(folder: pathlib.Path) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    name = next(each for each in header if each != "__metadata__")
    header[name]["shape"] = [10**9, 10**9]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    assert "cannot be loaded" in refuse(folder)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
@pytest.mark.parametrize("how", ["pipe", "device"])
def test_what_would_never_end_is_not_read(name: str, how: str, folder: pathlib.Path) -> None:
    (folder / name).unlink()
    if how == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero")
    assert f"{name} is no file" in refuse(folder)


def test_a_pickle_that_is_packed_is_not_unpacked(folder: pathlib.Path) -> None:
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    torch.save({"a": torch.zeros(1_000_000)}, folder / "plain")
    with zipfile.ZipFile(folder / "plain") as plain, zipfile.ZipFile(path, "w") as packed:
        for each in plain.namelist():
            packed.writestr(each, plain.read(each), zipfile.ZIP_DEFLATED)
    assert "pytorch_model.bin holds more than its size" in refuse(folder)


def test_an_adapter_beside_the_weights_is_refused(folder: pathlib.Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/other"}')
    assert "adapter_config.json, by which the library may change its weights" in refuse(folder)


def test_files_behind_links_count_into_the_revision(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """As in the hub's cache, whose models are links: what is read is what has the revision."""
    held = tmp_path / "elsewhere"
    (folder / "model.safetensors").rename(held)
    (folder / "model.safetensors").symlink_to(held)
    first = resolve_model(str(folder), None).revision
    load(folder)
    shutil.copy(make_model(tmp_path / "other", seed=1) / "model.safetensors", held)
    assert resolve_model(str(folder), None).revision != first
