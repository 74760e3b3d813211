"""Which files of a model are read, and what they add up to."""

import fnmatch
import hashlib
import os
import pathlib
from collections.abc import Collection, Iterable

from imgcls_beam.errors import ConfigError

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


def choose_weights(model: str, names: Collection[str]) -> str:
    """The file to read the weights from, of all the files of a model.

    Raises:
        ConfigError: there are no weights in a form that is read here.
    """
    if weights := _find_weights(names):
        return weights
    problem = "it has no model.safetensors and no pytorch_model.bin"
    others = ", ".join(sorted(name for name in names if _matches(name, _OTHER_WEIGHTS))[:3])
    raise ConfigError("model", model, f"{problem}, but {others}" if others else problem)


def check_folder(model: str, names: Collection[str]) -> str:
    """The file to read the weights from, of all the files in a model's folder.

    Raises:
        ConfigError: there is no config, or there are no weights in a form that is read here.
    """
    if "config.json" not in names:
        raise ConfigError("model", model, "the folder has no config.json")
    return choose_weights(model, names)


def list_needed(weights: str) -> list[str]:
    """Patterns of the files that a classifier is loaded from."""
    return [*_CONFIGS, weights, *_SHARDS_OF[weights]]


def choose_needed(names: Collection[str]) -> list[str]:
    """What a classifier is loaded from, of the names of all files of a model."""
    weights = _find_weights(names)
    patterns = list_needed(weights) if weights else _CONFIGS
    return [name for name in names if _matches(name, patterns)]


def hash_files(folder: pathlib.Path, names: Iterable[str]) -> str:
    """SHA-256 over the names and contents of files, whatever their order: 64 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(folder / name for name in names):
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{content}  ".encode() + os.fsencode(path.name) + b"\n")
    return digest.hexdigest()


def _find_weights(names: Collection[str]) -> str | None:
    return next((name for name in _SHARDS_OF if name in names), None)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
