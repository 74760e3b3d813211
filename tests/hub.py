"""A Hugging Face Hub on loopback, and models laid out as the published ones are."""

import dataclasses
import hashlib
import http.server
import json
import pathlib
import re
import threading
from collections.abc import Callable
from typing import Any

import torch
import transformers
import yaml

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_LFS_SUFFIXES = (".safetensors", ".bin", ".h5", ".msgpack")


@dataclasses.dataclass
class Repository:
    """One model of the hub.

    Attributes:
        commits: the folder of each commit.
        branches: the commit of each branch and tag.
        token: who may read it; None for everybody.
        is_gated: whether its terms have to be accepted; else it is private.
    """

    commits: dict[str, pathlib.Path]
    branches: dict[str, str]
    token: str | None = None
    is_gated: bool = False

    def find_commit(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.branches.get(revision)


class Hub:
    """The server; `after` is called with each path once it was answered."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[str] = []
        self.after: Callable[[str], object] = str
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def publish(self, name: str, folder: pathlib.Path, **more: Any) -> str:
        """Puts a folder on the main branch; returns its commit."""
        commit = hashlib.sha1(f"{name} {folder}".encode()).hexdigest()
        repository = self.repositories.setdefault(name, Repository({}, {}, **more))
        repository.commits[commit] = folder
        repository.branches["main"] = commit
        return commit

    def count(self, pattern: str) -> int:
        """How many requests there were of this form (a regular expression)."""
        return sum(bool(re.search(pattern, each)) for each in self.asked)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.asked.append(f"{self.command} {path}")
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path)
        file = re.fullmatch(r"(/cdn)?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if info:
            self._answer_info(info[1], info[2], info[3] or "main")
        elif file:
            self._answer_file(file[2], file[3], file[4], is_stored=file[1] is not None)
        else:
            self._send(404, {"X-Error-Code": "EntryNotFound"})
        self.hub.after(path)

    def _find(self, name: str, revision: str) -> tuple[str, pathlib.Path] | None:
        """The commit and its folder; None where that was refused."""
        repository = self.hub.repositories.get(name)
        given = self.headers.get("authorization", "").removeprefix("Bearer ")
        if repository is None or (repository.token not in (None, given)):
            if repository is not None and repository.is_gated:
                self._send(403 if given else 401, {"X-Error-Code": "GatedRepo"})
            else:
                self._send(404 if given else 401, {"X-Error-Code": "RepoNotFound"})
            return None
        commit = repository.find_commit(revision)
        if commit is None:
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
            return None
        return commit, repository.commits[commit]

    def _answer_info(self, name: str, what: str | None, revision: str) -> None:
        found = self._find(name, revision)
        if found is None:
            return
        commit, folder = found
        files = sorted(path for path in folder.iterdir() if path.is_file())
        if what == "tree":
            self._send_json([_describe(path) for path in files])
            return
        siblings = [{"rfilename": path.name} for path in files]
        answer = {"id": name, "sha": commit, "private": False, "siblings": siblings}
        self._send_json(answer | {"cardData": _read_card(folder)})

    def _answer_file(self, name: str, revision: str, file: str, *, is_stored: bool) -> None:
        found = self._find(name, revision)
        if found is None:
            return
        commit, folder = found
        path = folder / file
        if not path.is_file():
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_digest(path)}"'}
        if path.suffix in _LFS_SUFFIXES and not is_stored:
            place = f"{self.hub.endpoint}/cdn/{name}/resolve/{commit}/{file}"
            linked = {"X-Linked-Size": str(path.stat().st_size), "X-Linked-ETag": headers["ETag"]}
            self._send(302, {**headers, **linked, "Location": place})
            return
        self._send_file(path, headers)

    def _send_file(self, path: pathlib.Path, headers: dict[str, str]) -> None:
        data = path.read_bytes()
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        if begin:
            start = int(begin[1])
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._send(206, {**headers, "Content-Range": span}, data[start:])
        else:
            self._send(200, headers, data)

    def _send_json(self, value: object) -> None:
        self._send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _read_card(folder: pathlib.Path) -> dict[str, Any] | None:
    """The YAML between the two lines with which a card begins."""
    card = folder / "README.md"
    if not card.is_file() or not card.read_text().startswith("---\n"):
        return None
    read: dict[str, Any] = yaml.safe_load(card.read_text().split("---")[1])
    return read


def _describe(path: pathlib.Path) -> dict[str, Any]:
    size = path.stat().st_size
    entry = {"type": "file", "path": path.name, "size": size, "oid": _digest(path)[:40]}
    if path.suffix in _LFS_SUFFIXES:
        entry["lfs"] = {"oid": _digest(path), "size": size, "pointerSize": 134}
    return entry


def _digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_NARROW = {"hidden_size": 36, "num_hidden_layers": 2, "num_attention_heads": 3}


def _make_vit_base() -> tuple[Any, dict[str, Any]]:
    config = transformers.ViTConfig(num_labels=1000)
    return transformers.ViTForImageClassification(config), {
        **{"do_normalize": True, "do_resize": True, "size": 224},
        **HALF,
    }


def _make_vit_narrow() -> tuple[Any, dict[str, Any]]:
    config = transformers.ViTConfig(num_labels=1000, intermediate_size=72, **_NARROW)
    return transformers.ViTForImageClassification(config), _make_vit_base_processor()


def _make_vit_base_processor() -> dict[str, Any]:
    return {"do_normalize": True, "do_resize": True, "size": 224, **HALF}


def _make_deit() -> tuple[Any, dict[str, Any]]:
    config = transformers.DeiTConfig(num_labels=1000, intermediate_size=72, **_NARROW)
    return transformers.DeiTForImageClassificationWithTeacher(config), {
        **{"crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True},
        **{"feature_extractor_type": "DeiTFeatureExtractor", "resample": 3, "size": 256},
        **IMAGENET,
    }


def _make_convnext() -> tuple[Any, dict[str, Any]]:
    sizes: dict[str, Any] = {"hidden_sizes": [12, 16, 24, 32], "depths": [1, 1, 1, 1]}
    config = transformers.ConvNextConfig(num_labels=1000, **sizes)
    return transformers.ConvNextForImageClassification(config), {
        **{"crop_pct": 0.875, "do_normalize": True, "do_resize": True, "size": 224},
        **{"feature_extractor_type": "ConvNextFeatureExtractor", "resample": 3},
        **IMAGENET,
    }


def _make_nsfw() -> tuple[Any, dict[str, Any]]:
    config = transformers.ViTConfig(
        id2label={0: "normal", 1: "nsfw"}, intermediate_size=72, **_NARROW
    )
    return transformers.ViTForImageClassification(config), {
        **{"do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 2},
        **{"image_processor_type": "ViTFeatureExtractor", "rescale_factor": 1 / 255},
        **{"size": {"height": 224, "width": 224}},
        **HALF,
    }


LAYOUTS: dict[str, tuple[Callable[[], tuple[Any, dict[str, Any]]], str]] = {
    "google/vit-base-patch16-224": (_make_vit_narrow, "model.safetensors"),
    "facebook/deit-base-distilled-patch16-224": (_make_deit, "pytorch_model.bin"),
    "facebook/convnext-large-224": (_make_convnext, "pytorch_model.bin"),
    "Falconsai/nsfw_image_detection": (_make_nsfw, "model.safetensors"),
}
"""The published models: a narrow copy of each, and the form of its weights on the main branch."""


def write_layout(folder: pathlib.Path, name: str, *, is_full_size: bool = False) -> pathlib.Path:
    """Writes a model as its repository is laid out, beside files that nobody should fetch."""
    make, weights = LAYOUTS[name]
    torch.manual_seed(len(name))
    model, processor = _make_vit_base() if is_full_size else make()
    if not is_full_size:
        _spread(model)
    else:
        torch.nn.init.normal_(model.classifier.weight, 0.0, 0.2)
    model.eval().save_pretrained(folder)
    if weights == "pytorch_model.bin":
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / weights)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    if name.startswith("Falconsai/"):
        config = json.loads((folder / "config.json").read_text())
        config["label2id"] = {"normal": "0", "nsfw": "1"}
        (folder / "config.json").write_text(json.dumps(config))
    for other in ("tf_model.h5", "flax_model.msgpack", "README.md", "optimizer.pt"):
        (folder / other).write_bytes(b"nobody needs this")
    return folder


def _spread(model: Any) -> None:
    """Scores that lie apart, see `tests.models.make_model`."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            is_alike = name.endswith("bias") or "position" in name or "token" in name
            weight.normal_(0.0, 0.02 if is_alike else 0.3)
