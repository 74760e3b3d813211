"""Changes of a model's folder."""

import functools
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModelForImageClassification

from tests.edges.case import PHOTO
from tests.models import LABELS

Change = Callable[[pathlib.Path], object]
Weights = dict[str, torch.Tensor]

CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
HEAD_WEIGHT, HEAD_BIAS = "classifier.weight", "classifier.bias"
_LARGE = 3e38
"""Near the largest float32."""


def _set(folder: pathlib.Path, file: str, without: Sequence[str] = (), **fields: Any) -> None:
    path = folder / file
    known = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({name: each for name, each in known.items() if name not in without}))


def set_config(*without: str, **fields: Any) -> Change:
    return functools.partial(_set, file=CONFIG, without=without, **fields)


def set_processor(*without: str, **fields: Any) -> Change:
    return functools.partial(_set, file=PROCESSOR, without=without, **fields)


def set_labels(id2label: Any, **fields: Any) -> Change:
    return set_config(id2label=id2label, label2id={}, **fields)


def name_all(template: str, **fields: Any) -> Change:
    return set_labels({str(i): template.format(i) for i in range(LABELS)}, **fields)


def change_weights(change: Callable[[Weights], Weights]) -> Change:
    def rewrite(folder: pathlib.Path) -> None:
        path = folder / WEIGHTS
        save_file(change(load_file(path)), path, {"format": "pt"})

    return rewrite


def give_logits(*values: float, **fields: Any) -> Change:
    """The same logits for every image: a head without weights, whose bias they are."""

    def replace(weights: Weights) -> Weights:
        width = weights[HEAD_WEIGHT].shape[1]
        bias = torch.tensor(values, dtype=torch.float32)
        return {**weights, HEAD_WEIGHT: torch.zeros(len(values), width), HEAD_BIAS: bias}

    names = {str(i): f"L{i}" for i in range(len(values))}
    return do_all(set_labels(names, **fields), change_weights(replace))


def do_all(*changes: Change) -> Change:
    def apply(folder: pathlib.Path) -> None:
        for change in changes:
            change(folder)

    return apply


def set_value(name: str, value: float) -> Change:
    """One number of one weight."""

    def replace(weights: Weights) -> Weights:
        changed = weights[name].clone()
        changed.view(-1)[5] = value
        return {**weights, name: changed}

    return change_weights(replace)


def drop_weights(*parts: str) -> Change:
    return change_weights(
        lambda weights: {
            name: each for name, each in weights.items() if not any(part in name for part in parts)
        }
    )


def cast_weights(dtype: torch.dtype) -> Change:
    name = str(dtype).removeprefix("torch.")
    cast = change_weights(lambda weights: {key: each.to(dtype) for key, each in weights.items()})
    return do_all(cast, set_config(dtype=name))


def write(file: str, data: bytes) -> Change:
    return lambda folder: (folder / file).write_bytes(data)


def remove(file: str) -> Change:
    return lambda folder: (folder / file).unlink()


def cut_weights(folder: pathlib.Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def to_shards(folder: pathlib.Path, missing: int | None = None) -> None:
    """Two files of weights and their index; one of them may be missing."""
    weights = load_file(folder / WEIGHTS)
    index = {name: f"model-0000{i % 2 + 1}-of-00002.safetensors" for i, name in enumerate(weights)}
    for number, shard in enumerate(sorted(set(index.values()))):
        part = {name: each for name, each in weights.items() if index[name] == shard}
        if number != missing:
            save_file(part, folder / shard, {"format": "pt"})
    text = json.dumps({"metadata": {"total_size": 0}, "weight_map": index})
    (folder / f"{WEIGHTS}.index.json").write_text(text)
    (folder / WEIGHTS).unlink()


def to_bin(folder: pathlib.Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("this ran while the weights were read",)


def to_bin_with_code(folder: pathlib.Path) -> None:
    torch.save({HEAD_WEIGHT: _Code()}, folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def overflow(sign: int) -> Change:
    """Finite weights, and a logit beyond float32 for the photo but not for a blank image."""

    def replace(folder: pathlib.Path) -> None:
        blank = _features(folder, Image.new("RGB", (64, 64), (127, 127, 127)))
        photo = _features(folder, PHOTO)
        at = int(np.argmax(np.abs(photo) - np.abs(blank)))
        assert abs(blank[at]) < 1 < abs(photo[at]) * _LARGE / np.finfo(np.float32).max

        def set_row(weights: Weights) -> Weights:
            head = weights[HEAD_WEIGHT].clone()
            head[0] = 0
            head[0, at] = _LARGE * sign * np.sign(photo[at])
            return {**weights, HEAD_WEIGHT: head}

        change_weights(set_row)(folder)

    return replace


def _features(folder: pathlib.Path, image: Image.Image) -> Any:
    """What the head is given: float64 (hidden size,)."""
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    inputs = AutoImageProcessor.from_pretrained(folder)(images=image, return_tensors="pt")
    with torch.inference_mode():
        return model.vit(**inputs).last_hidden_state[0, 0].double().numpy()
