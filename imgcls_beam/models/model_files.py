"""Which files of a model are read, and what they add up to."""

import fnmatch
import hashlib
import os
import pathlib
from collections.abc import Iterable

_CONFIGS = ("config.json", "preprocessor_config.json", "processor_config.json")

_SHARDS_OF = {
    "model.safetensors": (),
    "model.safetensors.index.json": ("model-*.safetensors",),
    "pytorch_model.bin": (),
    "pytorch_model.bin.index.json": ("pytorch_model-*.bin",),
}
"""The forms of weights that are read, the best first, and the further files of each.

Safetensors hold nothing but tensors; `.bin` is a pickle, which is read by a loader that refuses
everything else.
"""

_OTHER_WEIGHTS = ("*.h5", "*.msgpack", "*.onnx", "*.gguf", "*.pt", "*.pth", "*.ckpt", "adapter_*")


def choose_weights(names: Iterable[str]) -> str | None:
    """The file to read the weights from, of all the files of a model; None where there is none."""
    present = set(names)
    return next((name for name in _SHARDS_OF if name in present), None)


def is_safe(weights: str) -> bool:
    """Whether weights of this name are safetensors."""
    return "safetensors" in weights


def find_other_weights(names: Iterable[str]) -> list[str]:
    """Weights in forms that are not read here."""
    return sorted(name for name in names if _matches(name, _OTHER_WEIGHTS))


def list_needed(weights: str) -> list[str]:
    """Patterns of what a classifier is loaded from, and nothing beside."""
    return [*_CONFIGS, weights, *_SHARDS_OF[weights]]


def choose_needed(names: Iterable[str], weights: str) -> list[str]:
    """What a classifier is loaded from, of the names of all files of a model."""
    return [name for name in names if _matches(name, list_needed(weights))]


def hash_files(folder: pathlib.Path, names: Iterable[str]) -> str:
    """SHA-256 over the names and contents of files, whatever their order: 64 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(folder / name for name in names):
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{content}  ".encode() + os.fsencode(path.name) + b"\n")
    return digest.hexdigest()


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
