"""A model's folder as people have it: shards, pointers, other formats."""

import gzip
import json
import os
import pathlib
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from imgcls_beam.errors import ConfigError, ModelError
from imgcls_beam.models import fetch_model, mirroring, resolve_model, resolving
from imgcls_beam.reasons import describe_reason

FORMS = (
    *("model-0000{}-of-00002.safetensors", "model.safetensors-0000{}-of-00002.safetensors"),
    *("shards/part[{}].safetensors", "weights {}.safetensors"),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(vit_folder: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A model that may be spoiled."""
    return pathlib.Path(shutil.copytree(vit_folder, tmp_path / "model"))


def shard(folder: pathlib.Path, form: str) -> list[str]:
    """Cuts the weights in two; returns the names of the files."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    where = {name: form.format(index % 2 + 1) for index, name in enumerate(weights)}
    for file in set(where.values()):
        (folder / file).parent.mkdir(exist_ok=True)
        save_file({n: w for n, w in weights.items() if where[n] == file}, folder / file)
    index = {"metadata": {}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return sorted(set(where.values()))


@pytest.mark.parametrize("form", FORMS)
def test_shards_are_those_of_the_index_in_a_folder_and_behind_a_url(
    form: str, folder: pathlib.Path
) -> None:
    names = shard(folder, form)
    (folder / "model-00009-of-00009.safetensors").write_bytes(b"of no index")
    local, url = resolve_model(str(folder), None), resolve_model(f"file://{folder}", None)
    assert local.key == url.key
    copy = fetch_model(url)
    files = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert files == {*names, "config.json", "preprocessor_config.json", "revision"} | {
        "model.safetensors.index.json"
    }
    path = folder / names[0]
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    assert resolve_model(str(folder), None).key != local.key
    path.unlink()
    with pytest.raises(ConfigError, match=re.escape(f"its index names {names[0]}, which is not")):
        resolve_model(str(folder), None)


@pytest.mark.parametrize(
    "name",
    [
        *("../x.safetensors", "/etc/passwd", "a/../../x.safetensors", "..\\x.safetensors"),
        *("C:x.safetensors", "a//b.safetensors", "", "./x.safetensors", "a\nb.safetensors"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_an_index_cannot_lead_out_of_the_folder(
    name: str, prefix: str, folder: pathlib.Path
) -> None:
    (folder / "model.safetensors").rename(folder.parent / "x.safetensors")
    index = {"weight_map": {"classifier.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ConfigError, match="a file outside of the model's folder"):
        resolve_model(f"{prefix}{folder}", None)


@pytest.mark.parametrize("text", ["[]", "{}", '{"weight_map": [1]}', '{"weight_map": null}'])
def test_an_index_that_is_none_is_a_sentence(text: str, folder: pathlib.Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ConfigError, match=r"model\.safetensors\.index\.json has no weight_map"):
        resolve_model(str(folder), None)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 1234567\n"
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"


CONFIGS = ("config.json", "preprocessor_config.json", "model.safetensors.index.json")
TEXTS: dict[str, tuple[bytes, str]] = {
    "a pointer": (LFS, "is a pointer of Git LFS, not the file; run git lfs pull"),
    "a pointer of Windows": (LFS.replace(b"\n", b"\r\n"), "is a pointer of Git LFS"),
    "a pointer of Xet": (b"# xet version 0\nfilesize = 1\n", "is a pointer of Xet"),
    "a page": (PAGE, "is a web page, not the file; fetch it again"),
    "nothing": (b" \n", "is empty; fetch it again"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "begins with a byte order mark; save it as UTF-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "is UTF-16; save it as UTF-8"),
    "another encoding": ('{"a": "é"}'.encode("latin-1"), "is not UTF-8; save it as UTF-8"),
    "a zip": (b"PK\x03\x04" + bytes(90), "is a zip archive; unpack it"),
    "no such file": (b"Entry not found", 'is not JSON but "Entry not found"; fetch it again'),
    "a long text": (b"x" * 99, f'is not JSON but "{"x" * 39}…; fetch it again'),
    "escapes": (b"\x1b[1mno\n{}", 'is not JSON but "\\u001b[1mno"; fetch it again'),
    "a merge": (b"<<<<<<< HEAD\n{}", "has the marks of a merge in line 1; keep one side"),
    "a merge within": (
        b'{\n<<<<<<< HEAD\n"a": 1\n=======\n"a": 2\n>>>>>>> b\n}',
        "has the marks of a merge in line 2",
    ),
    "a comment": (b"// mine\n{}", "has a comment in line 1, and JSON has none; take it out"),
    "a comment within": (b'{"a": 1, // mine\n"b": 2}', "has a comment in line 1"),
    "a comment behind": (b'{"a": 1 /* mine */}', "has a comment in line 1"),
    "a comment of another kind": (b'{\n# mine\n"a": 1}', "has a comment in line 2"),
    "a comment at the end": (b'{"a": 1}\n// mine', "has a comment in line 2"),
    "a comma": (b'{"a": 1,\n}', "has a comma before a closing bracket in line"),
    "a comma in a list": (b'{"a": [1, 2,]}', "has a comma before a closing bracket in line 1"),
    "a cut text": (b'{"a": 1,', "is cut off in line 1; fetch it again"),
    "a cut word": (b'{"a": "b', "is cut off in line 1; fetch it again"),
    "Python": (b"{'a': 1}", "is not JSON in line 1, column 2; mend it, or fetch it again"),
    "two": (b'{"a": 1}\n{"a": 2}', "is not JSON in line 2, column 1; mend it"),
    "an error": (
        b'{"error":"Invalid username or password."}',
        'is what a server said, {"error": "Invalid username or password.…, not the file; fetch',
    ),
    "another error": (
        b'{"message": "Not Found", "status": "404", "url": "x"}',
        'is what a server said, {"message": "Not Found", "status": "404"…, not',
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("what", TEXTS)
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_file_of_json_that_is_none_is_told_by_its_name_with_the_next_step(
    what: str, name: str, prefix: str, folder: pathlib.Path
) -> None:
    content, words = TEXTS[what]
    if "index" in name:
        (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(f"{name} {words}")) as caught:
        resolve_model(f"{prefix}{folder}", None)
    assert "; " in caught.value.problem
    assert "\n" not in caught.value.problem


@pytest.mark.parametrize("name", CONFIGS[:2])
@pytest.mark.parametrize("text", ["[]", "null", "5", '"text"', "true", "[{}]"])
def test_a_file_of_settings_that_is_no_object_is_told(
    text: str, name: str, folder: pathlib.Path
) -> None:
    (folder / name).write_text(text)
    said = f"{name} is not a JSON object but {text}; fetch it again"
    with pytest.raises(ConfigError, match=re.escape(said)):
        resolve_model(str(folder), None)


def test_settings_that_are_named_as_what_servers_say_are_settings(folder: pathlib.Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "error": "x", "message": "y"}))
    assert resolve_model(str(folder), None).weights


class Whole(torch.nn.Linear):
    """A module of one's own, which is pickled with its class."""


def write_program(path: pathlib.Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def write_renamed(path: pathlib.Path) -> None:
    save_file({"a": torch.zeros(2)}, path)


def write_zip(path: pathlib.Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/model.safetensors", b"x")


def write_sparse(path: pathlib.Path) -> None:
    torch.save({"a": torch.eye(3).to_sparse()}, path)


CONTENTS: dict[str, tuple[str, bytes | Callable[[pathlib.Path], None], str]] = {
    "a pointer for safetensors": ("model.safetensors", LFS, "git lfs pull"),
    "a pointer for a pickle": ("pytorch_model.bin", LFS, "git lfs pull"),
    "a pointer for a config": ("config.json", LFS, "git lfs pull"),
    "a pointer for a processor": ("preprocessor_config.json", LFS, "git lfs pull"),
    "a page for weights": ("model.safetensors", PAGE, "web page"),
    "a page for a config": ("config.json", PAGE, "web page"),
    "a byte order mark": ("config.json", b"\xef\xbb\xbf{}", "byte order mark"),
    "UTF-16": ("config.json", "{}".encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": ("preprocessor_config.json", "{}".encode("utf-16-be"), "UTF-16"),
    "an empty config": ("config.json", b"", "is empty"),
    "empty weights": ("model.safetensors", b"", "is empty"),
    "text for weights": ("model.safetensors", b"not found, sorry" * 9, "not a safetensors file"),
    "a whole model": ("pytorch_model.bin", lambda path: torch.save(Whole(2, 2), path), "Whole"),
    "a library's whole model": (
        *("pytorch_model.bin", lambda path: torch.save(torch.nn.Linear(2, 2), path), "Linear"),
    ),
    "an old whole model": (
        "pytorch_model.bin",
        lambda path: torch.save(Whole(2, 2), path, _use_new_zipfile_serialization=False),
        "Whole",
    ),
    "a program": ("pytorch_model.bin", write_program, "TorchScript"),
    "safetensors as a pickle": ("pytorch_model.bin", write_renamed, "call it model.safetensors"),
    "a pickle as safetensors": (
        *("model.safetensors", lambda path: torch.save({}, path), "call it pytorch_model.bin"),
    ),
    "a zip as safetensors": ("model.safetensors", write_zip, "is a zip archive; unpack it"),
    "a cut zip as safetensors": ("model.safetensors", b"PK\x03\x04" + bytes(99), "zip archive"),
    "gzip as safetensors": ("model.safetensors", gzip.compress(b"x" * 999), "packed with gzip"),
    "a pointer of Xet": ("model.safetensors", b"# xet version 0\n" + bytes(99), "pointer of Xet"),
    "a zip as a pickle": ("pytorch_model.bin", write_zip, "is a zip archive without weights"),
    "arrays": (
        "pytorch_model.bin",
        lambda path: torch.save({"a": np.zeros(3, np.float32)}, path),
        "holds numbers of numpy, not tensors",
    ),
    "old arrays": (
        "pytorch_model.bin",
        lambda path: path.write_bytes(pickle.dumps({"a": np.zeros(3, np.float32)})),
        "holds numbers of numpy, not tensors",
    ),
    "sparse tensors": ("pytorch_model.bin", write_sparse, "holds sparse tensors"),
    "tensors without numbers": (
        "pytorch_model.bin",
        lambda path: torch.save({"a": torch.zeros(3, device="meta")}, path),
        "of the device meta",
    ),
    "a cut archive": ("pytorch_model.bin", b"PK\x03\x04" + bytes(500), "cut off or damaged"),
}


@pytest.mark.parametrize("how", CONTENTS)
def test_a_file_that_is_not_what_its_name_says_is_told_with_the_next_step(
    how: str, folder: pathlib.Path
) -> None:
    name, content, words = CONTENTS[how]
    if name == "pytorch_model.bin":
        (folder / "model.safetensors").unlink()
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        content(folder / name)
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        resolve_model(str(folder), None)
    assert caught.value.problem.startswith(name)
    assert "; " in caught.value.problem
    assert not re.search(r"weights_only|True|False|\x1b", caught.value.problem)


@pytest.mark.parametrize("cut_bytes", [1, 1000, 4000])
def test_weights_whose_end_is_missing_are_cut_off(cut_bytes: int, folder: pathlib.Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-cut_bytes])
    with pytest.raises(ConfigError, match=r"model\.safetensors is cut off: it has [\d,]+ bytes of"):
        resolve_model(str(folder), None)


def test_links_that_were_copied_without_their_files_are_told(folder: pathlib.Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("../../blobs/1234")
    (folder / "model.safetensors").rename(folder / "kept")
    (folder / "model.safetensors").symlink_to("../../blobs/5678")
    with pytest.raises(ConfigError, match=r"config\.json is a link to nothing; copy"):
        resolve_model(str(folder), None)


@pytest.mark.parametrize("first", [0x80, 0x7B, 0xFE, 0xFF, 0xEF, 0x1F, 0x20])
def test_a_header_may_have_any_length(first: int, folder: pathlib.Path) -> None:
    """Safetensors begin with it, so its bytes may look like the beginning of something else."""
    path = folder / "model.safetensors"
    data = path.read_bytes()
    old = int.from_bytes(data[:8], "little")
    wanted = (
        (old // 65536 + 1) * 65536 + 0xFE00 + first if first == 0xFF else (old | 0xFF) + 1 + first
    )
    padded = data[8 : 8 + old].ljust(wanted)
    path.write_bytes(wanted.to_bytes(8, "little") + padded + data[8 + old :])
    assert path.read_bytes()[0] == first
    assert resolve_model(str(folder), None).weights == "model.safetensors"


@pytest.mark.parametrize("prefix", ["", "file://"])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model.bin.index.json"])
def test_where_only_safetensors_may_be_read_a_pickle_is_refused_by_its_name_alone(
    prefix: str, name: str, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "model.safetensors").rename(folder / name)
    for module, reader in ((resolving, "hash_folder"), (mirroring, "_copy")):
        monkeypatch.setattr(module, reader, lambda *_: pytest.fail("a file was read"))
    with pytest.raises(ConfigError, match=f"{re.escape(name)} is a pickle: save_pre") as caught:
        resolve_model(f"{prefix}{folder}", None, "safetensors")
    assert (caught.value.option, caught.value.value) == ("weights", "safetensors")


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_pickle_beside_safetensors_is_not_read_and_does_not_matter(
    prefix: str, folder: pathlib.Path
) -> None:
    revision = resolve_model(f"{prefix}{folder}", None).revision
    (folder / "pytorch_model.bin").write_bytes(b"whatever it holds")
    source = resolve_model(f"{prefix}{folder}", None, "safetensors")
    assert (source.revision, source.weights) == (revision, "model.safetensors")


def test_an_index_of_safetensors_names_no_pickle(folder: pathlib.Path) -> None:
    shard(folder, "part{}.safetensors")
    (folder / "part2.safetensors").rename(folder / "part2.bin")
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace("part2.safetensors", "part2.bin"))
    with pytest.raises(ConfigError, match=r"names part2\.bin, which is no safetensors"):
        resolve_model(str(folder), None)


OTHERS = {
    "flax_model.msgpack": "from_flax=True",
    "tf_model.h5": "from_tf=True",
    "saved_model.pb": "TensorFlow",
    "model.onnx": "ONNX",
    "onnx/model.onnx": "ONNX",
    "openvino_model.xml": "OpenVINO",
    "adapter_model.safetensors": "merge_and_unload",
    "model.fp16.safetensors": "variant",
    "vit.safetensors": "call them model.safetensors",
    "model-00001-of-00002.safetensors": "fetch the index too",
    "best.pth": "save_pretrained",
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_folder_with_weights_of_another_form_names_them_and_the_next_step(
    name: str, prefix: str, folder: pathlib.Path
) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"0" * 100)
    with pytest.raises(ConfigError, match=re.escape(OTHERS[name])) as caught:
        resolve_model(f"{prefix}{folder}", None)
    assert name in caught.value.problem


@pytest.mark.parametrize("prefix", ["", "file://"])
@pytest.mark.parametrize("inner", ["checkpoint-1500", "vit-base", "final"])
def test_a_model_in_a_folder_of_the_folder_is_pointed_at(
    inner: str, prefix: str, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    shutil.copytree(folder, outer / "checkpoint-500")
    if inner != "checkpoint-1500":
        (outer / "checkpoint-500").rename(outer / inner)
    else:
        shutil.copytree(folder, outer / inner)
    with pytest.raises(ConfigError, match=f"give {prefix}{outer}/{inner}$"):
        resolve_model(f"{prefix}{outer}", None)


def test_an_adapter_and_the_hubs_cache_are_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"adapter_config\.json: an adapter: merge it"):
        resolve_model(str(tmp_path), None)
    cached = tmp_path / "models--google--vit-base-patch16-224"
    (cached / "snapshots").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"give google/vit-base-patch16-224$"):
        resolve_model(str(cached), None)


def test_a_tilde_is_the_home_folder_and_a_file_is_no_folder(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    source = resolve_model("~/model", None)
    assert (source.location, source.model_id) == (os.path.realpath(folder), str(folder))
    assert resolve_model("~/model/", None) == source
    with pytest.raises(ConfigError, match=f"give the folder that holds it, {folder}"):
        resolve_model(str(folder / "model.safetensors"), None)


@pytest.mark.parametrize(
    "text",
    [
        "Weights only load failed. To do so, \x1b[1mset `weights_only` to False\x1b[0m.",
        "Set trust_remote_code=True to run it.\nThe file has no key 'a'",
        "Please pass `ignore_mismatched_sizes=True`",
    ],
)
def test_advice_of_other_libraries_and_escapes_are_not_passed_on(text: str) -> None:
    said = describe_reason(ModelError(text))
    assert said in ("Weights only load failed", "The file has no key 'a'", "ModelError")
