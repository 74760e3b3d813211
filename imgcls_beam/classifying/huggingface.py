"""The Hugging Face classifier. Heavy: importing this module imports torch."""

import pickle
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from imgcls_beam.classifying.protocol import ClassifierCard, ClassifierSpec, Logits
from imgcls_beam.elements import ModelSource, Pixels
from imgcls_beam.errors import ModelError
from imgcls_beam.spec import FunctionToApply

_LOAD_FAULTS = (
    *(OSError, ValueError, TypeError, ImportError, RuntimeError, LookupError, AttributeError),
    *(ArithmeticError, AssertionError, SafetensorError, pickle.UnpicklingError),
    StrictDataclassError,
)
"""What a folder that holds no such model, or a damaged one, makes the libraries raise."""


class HuggingFaceClassifier:
    """A model of `AutoModelForImageClassification`, checked before its first image."""

    def __init__(self, spec: ClassifierSpec) -> None:
        """Loads the model and puts it on its device.

        Raises:
            ModelError: it cannot be loaded, or would predict at random: its head is missing from
                the checkpoint, or a weight is not finite.
        """
        self._device = _choose_device(spec)
        self._model = _load_model(spec, self._device)
        self._model.eval()
        self._affine = None
        if spec.affine is not None:
            pair = (spec.affine.scale, spec.affine.shift)
            self._affine = torch.tensor(pair, device=self._device).reshape(2, 1, 1, 1, 3)
        # Harness threads call one model at once: together they would only share its cores, each
        # with activations of its own.
        self._turn = threading.Lock()
        _check_weights(self._model, spec.source)
        self._card = _describe(self._model, self._device)

    def describe(self) -> ClassifierCard:
        """What this model is."""
        return self._card

    def classify(self, batch: Sequence[Pixels]) -> Logits:
        """One forward pass, see `Classifier.classify`.

        Raises:
            ModelError: the model gives another number of scores than it has labels.
        """
        pixels = torch.from_numpy(np.stack(batch))
        with self._turn, torch.inference_mode():
            logits = self._model(pixel_values=self._to_input(pixels)).logits
            answer: Logits = logits.to(torch.float32).cpu().numpy()
        labels = self._card.labels
        if answer.shape != (len(batch), len(labels)):
            problem = f"scores of shape {answer.shape} for {len(labels)} labels"
            raise ModelError(f"the model gives {problem}")
        return answer

    def _to_input(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(self._device, non_blocking=True)
        if self._affine is not None:
            scaled = pixels.to(torch.float32).mul_(self._affine[0]).add_(self._affine[1])
            pixels = scaled.permute(0, 3, 1, 2)
        return pixels.to(self._model.dtype)


def _choose_device(spec: ClassifierSpec) -> torch.device:
    if spec.device == "cpu" or (spec.device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ModelError("device cuda was asked for, but torch finds no CUDA device here")
    return torch.device("cuda", torch.cuda.current_device())


def _load_model(spec: ClassifierSpec, device: torch.device) -> Any:  # noqa: ANN401
    from transformers import AutoModelForImageClassification

    dtype: Any = spec.dtype
    if spec.dtype == "auto" and device.type == "cpu":
        dtype = "float32"
    source = spec.source
    try:
        model, info = AutoModelForImageClassification.from_pretrained(
            source.location,
            revision=source.commit,
            trust_remote_code=False,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the info, and refused below
        )
    except _LOAD_FAULTS as error:
        # The first line only: transformers lists every type it knows below it.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{source.model_id}: the model cannot be loaded ({reason})") from error
    _check_complete(info, source)
    return model.to(device)


def _check_complete(info: dict[str, Any], source: ModelSource) -> None:
    """A checkpoint without its head would be loaded with a random one, and a warning only."""
    misshapen = (name for name, *_ in info["mismatched_keys"])
    missing = sorted([*info["missing_keys"], *misshapen])
    if missing:
        names = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        problem = f"the checkpoint lacks or misshapes {len(missing)} of its weights ({names})"
        raise ModelError(f"{source.model_id}: {problem}; it would predict at random")


def _check_weights(model: Any, source: ModelSource) -> None:  # noqa: ANN401
    for name, weight in model.state_dict().items():  # the running variance of a norm, too
        if not bool(torch.isfinite(weight).all()):
            problem = f"the weight {name} holds NaN or infinity"
            raise ModelError(f"{source.model_id}: {problem}; it cannot predict")


def _describe(model: Any, device: torch.device) -> ClassifierCard:  # noqa: ANN401
    return ClassifierCard(
        labels=_read_labels(model.config),
        function_to_apply=_choose_function(model.config),
        device=str(device),
        dtype=str(model.dtype).removeprefix("torch."),
        size_bytes=sum(each.numel() * each.element_size() for each in model.parameters()),
    )


def _read_labels(config: Any) -> tuple[str, ...]:  # noqa: ANN401
    names = {int(index): str(label) for index, label in (config.id2label or {}).items()}
    return tuple(names.get(index, f"LABEL_{index}") for index in range(config.num_labels))


def _choose_function(config: Any) -> FunctionToApply:  # noqa: ANN401
    """The activation where nobody asks for one: the rule of transformers' own pipeline."""
    if config.problem_type == "regression":
        return "none"
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return "sigmoid"
    return "softmax"
