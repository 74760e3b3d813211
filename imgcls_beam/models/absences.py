"""What to say of a model's folder that lacks what is read here: which file is there, what to do."""

import fnmatch
import re
from collections.abc import Collection

_SAVE = "save_pretrained() writes model.safetensors where the model was made"

_OTHER_FORMS = {
    "adapter_*": "an adapter: merge it into its base model, merge_and_unload(), and save that",
    "model_index.json": "a pipeline of diffusers, which is no image classifier",
    "*.msgpack": "weights for Flax: load them with transformers 4, from_flax=True, and save them",
    "*.h5": "weights for TensorFlow: load them with transformers 4, from_tf=True, and save them",
    "*.pb": "a model of TensorFlow; take the PyTorch model of which it was made",
    "*.tflite": "a model of TensorFlow Lite; take the PyTorch model of which it was made",
    "*.onnx": "a model of ONNX; take the PyTorch model of which it was exported",
    "*.xml": "a model of OpenVINO; take the PyTorch model of which it was exported",
    "*.mlmodel": "a model of Core ML; take the PyTorch model of which it was exported",
    "*.gguf": "a model of GGUF, which is no image classifier",
    "model-*.safetensors": "a shard without model.safetensors.index.json; fetch the index too",
    "pytorch_model-*.bin": "a shard without pytorch_model.bin.index.json; fetch the index too",
    "model.*.safetensors": "a variant; give it the name model.safetensors to use it",
    "pytorch_model.*.bin": "a variant; give it the name pytorch_model.bin to use it",
    "*.safetensors": "weights under another name; call them model.safetensors",
    **dict.fromkeys(
        ("*.pt", "*.pth", "*.ckpt", "*.pkl"),
        f"a program of TorchScript, a checkpoint of a trainer or a pickle: {_SAVE}",
    ),
}
"""Files that are no weights as they are read here, the plainest first, and what each is."""

_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)/?$")


def explain_no_config(model: str, names: Collection[str]) -> str:
    """Why there is no config.json, and what to give instead.

    Args:
        model: as it was given.
        names: of files, as paths below the model's folder, one folder deep at least.
    """
    if cached := _CACHED.search(model):
        name = "/".join(cached.groups())
        return f"this is the hub's cache, which has no config.json here; give {name}"
    if folder := _find_inner(names, "config.json"):
        found = f"the folder has no config.json, but {folder}/ in it has"
        return f"{found}; give {model.rstrip('/')}/{folder}"
    return f"the folder has no config.json{_describe_others(names)}"


def explain_no_weights(names: Collection[str]) -> str:
    """Why there are no weights, and what to do with what is there."""
    problem = "it has no model.safetensors and no pytorch_model.bin"
    inner = _find_inner(names, "model.safetensors") or _find_inner(names, "pytorch_model.bin")
    if inner and not _describe_others([name for name in names if "/" not in name]):
        return f"{problem}, but {inner}/ in it has; give that folder"
    return f"{problem}{_describe_others(names)}"


def refuse_pickle(model: str, weights: str) -> str:
    """Why a model is refused of which only safetensors may be read, and what to do."""
    return f"{model} has no model.safetensors, and {weights} is a pickle: {_SAVE}; or give auto"


def _describe_others(names: Collection[str]) -> str:
    for pattern, kind in _OTHER_FORMS.items():
        found = sorted(
            each for each in names if fnmatch.fnmatchcase(each.rpartition("/")[2], pattern)
        )
        if found:
            return f", but {found[0]}: {kind}"
    return ""


def _find_inner(names: Collection[str], wanted: str) -> str | None:
    """The folder in this one that has such a file; the latest of a trainer's checkpoints."""
    found = [each.rpartition("/")[0] for each in names if each.endswith(f"/{wanted}")]
    return max(found, key=_read_step, default=None)


def _read_step(folder: str) -> tuple[int, str]:
    number = re.search(r"(\d+)$", folder)
    return (int(number[1]) if number and len(number[1]) < 12 else -1), folder
