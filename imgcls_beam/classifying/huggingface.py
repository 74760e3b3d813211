"""The Hugging Face classifier. Heavy: importing this module imports torch."""

import pickle
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from imgcls_beam.classifying.configs import name_labels, read_config
from imgcls_beam.classifying.prepacking import can_prepack, prepack
from imgcls_beam.classifying.protocol import ClassifierCard, ClassifierSpec, ForwardPass, Logits
from imgcls_beam.elements import ModelInputs, Pixels
from imgcls_beam.errors import ModelError
from imgcls_beam.models import fetch_model
from imgcls_beam.scoring import ModelSource
from imgcls_beam.spec import FunctionToApply

_LOAD_FAULTS = (
    *(OSError, ValueError, TypeError, ImportError, RuntimeError, LookupError, AttributeError),
    *(ArithmeticError, AssertionError, SafetensorError, pickle.UnpicklingError),
    StrictDataclassError,
)
"""What a folder that holds no such model, or a damaged one, makes the libraries raise."""

_PROBE_TOLERANCE = 1e-5
"""Of logits, times the largest of them."""

_MAX_EDGE_PX = 8192
"""A config that names a larger image is not believed."""


class HuggingFaceClassifier:
    """A model of `AutoModelForImageClassification`, checked before its first image."""

    def __init__(
        self, spec: ClassifierSpec, clock_s: Callable[[], float] = time.perf_counter
    ) -> None:
        """Loads the model and puts it on its device; `clock_s` times its passes, in seconds.

        Raises:
            ModelError: it cannot be loaded, or would predict at random: its head is missing from
                the checkpoint, or a weight is not finite.
        """
        self._spec, self._clock_s = spec, clock_s
        self._device = _choose_device(spec)
        config = read_config(fetch_model(spec.source), spec.source)
        self._model = _load_model(spec, self._device)
        if self._device.type == "cuda" and self._model.dtype == torch.float32:
            # Torch rounds convolutions on CUDA to the 10 bits of TF32 unless told not to; bfloat16
            # is faster still, for those who ask for it. Holds for the whole process.
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cuda.matmul.allow_tf32 = False
        self._is_tuned = False
        self._affine = None
        if spec.affine is not None:
            pair = (spec.affine.scale, spec.affine.shift)
            self._affine = torch.tensor(pair, device=self._device).reshape(2, 1, 1, 1, 3)
        # Harness threads call one model at once: together they would only share its cores, each
        # with activations of its own.
        self._turn = threading.Lock()
        _check_weights(self._model, spec.source)
        labels = name_labels(config, self._model.config)
        self._card = _describe(self._model, labels, self._device)

    def describe(self) -> ClassifierCard:
        """What this model is."""
        return self._card

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
        """One forward pass, see `Classifier.classify`.

        Raises:
            ModelError: the model gives another number of scores than it has labels.
        """
        is_pinned = self._device.type == "cuda"
        stacked = {
            name: _stack([each[name] for each in batch], is_pinned=is_pinned) for name in batch[0]
        }
        with self._turn, torch.inference_mode():
            if not self._is_tuned:
                self._tune(self._to_device({name: each[:1] for name, each in stacked.items()}))
            start_s = self._clock_s()
            outputs = self._model(**self._to_device(stacked))
            logits: Logits = outputs.logits.to(torch.float32).cpu().numpy()
            elapsed_ms = (self._clock_s() - start_s) * 1e3
        count = len(self._card.labels)
        if logits.shape != (len(batch), count):
            raise ModelError(f"the model gives scores of shape {logits.shape} for {count} labels")
        return ForwardPass(logits, elapsed_ms)

    def _tune(self, one: dict[str, torch.Tensor]) -> None:
        """Gives the linear layers a faster form, if the model then says the same of noise."""
        self._is_tuned = True
        if "pixel_values" not in one or not can_prepack(self._model, self._device):
            return
        noise = torch.Generator().manual_seed(0)
        pixels = torch.randn(one["pixel_values"].shape, generator=noise)
        probe = {**one, "pixel_values": pixels}
        expected = self._model(**probe).logits
        try:
            prepack(self._model, probe)
            is_equal = _is_close(self._model(**probe).logits, expected)
        except _LOAD_FAULTS:  # a model that reads a layer's weight by itself
            is_equal = False
        if not is_equal:
            self._model = _load_model(self._spec, self._device)

    def _to_device(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        moved = {name: each.to(self._device, non_blocking=True) for name, each in inputs.items()}
        if self._affine is not None:  # uint8 (N, H, W, 3) → float32 (N, 3, H, W)
            pixels = moved["pixel_values"].to(torch.float32)
            pixels = pixels.mul_(self._affine[0]).add_(self._affine[1])
            moved["pixel_values"] = pixels.permute(0, 3, 1, 2)
        # Masks and shapes are integers, and stay what they are.
        return {
            name: each.to(self._model.dtype) if each.is_floating_point() else each
            for name, each in moved.items()
        }


def _stack(arrays: Sequence[Pixels], *, is_pinned: bool) -> torch.Tensor:
    """(…) each → (N, …), in memory from which a GPU copies by itself where it is pinned."""
    dtype = torch.from_numpy(np.empty(0, arrays[0].dtype)).dtype
    stacked = torch.empty((len(arrays), *arrays[0].shape), dtype=dtype, pin_memory=is_pinned)
    np.stack(arrays, out=stacked.numpy())
    return stacked


def _choose_device(spec: ClassifierSpec) -> torch.device:
    if spec.device != "cpu" and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if spec.device == "cuda":
        raise ModelError("device cuda was asked for, but torch finds no CUDA device here")
    return torch.device("cpu")


def _is_close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    largest = max(1.0, float(expected.abs().max()))
    return float((found - expected).abs().max()) <= _PROBE_TOLERANCE * largest


def _load_model(spec: ClassifierSpec, device: torch.device) -> Any:  # noqa: ANN401
    from transformers import AutoModelForImageClassification

    dtype: Any = "float32" if (spec.dtype, device.type) == ("auto", "cpu") else spec.dtype
    source = spec.source
    try:
        model, info = AutoModelForImageClassification.from_pretrained(
            str(fetch_model(source)),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=None if source.weights is None else "safetensors" in source.weights,
            weights_only=True,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the info, and refused below
        )
    except _LOAD_FAULTS as error:
        # The first line only: transformers lists every type it knows below it.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{source.model_id}: the model cannot be loaded ({reason})") from error
    _check_complete(info, source, model.config.architectures or ())
    return model.eval().to(device)


def _check_complete(info: dict[str, Any], source: ModelSource, made_as: Sequence[str]) -> None:
    """A checkpoint without its head would be loaded with a random one, and a warning only."""
    misshapen = (name for name, *_ in info["mismatched_keys"])
    missing = sorted([*info["missing_keys"], *misshapen])
    if missing:
        names = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        kind = f" of a {made_as[0]}" if made_as else ""
        problem = f"the checkpoint{kind} lacks or misshapes {len(missing)} weights ({names})"
        raise ModelError(f"{source.model_id}: {problem}; it would predict at random")


def _check_weights(model: Any, source: ModelSource) -> None:  # noqa: ANN401
    for name, weight in model.state_dict().items():  # the running variance of a norm, too
        if not bool(torch.isfinite(weight).all()):
            problem = f"the weight {name} holds NaN or infinity; it cannot predict"
            raise ModelError(f"{source.model_id}: {problem}")


def _describe(model: Any, labels: tuple[str, ...], device: torch.device) -> ClassifierCard:  # noqa: ANN401
    return ClassifierCard(
        labels=labels,
        function_to_apply=_choose_function(model.config),
        device=str(device),
        dtype=str(model.dtype).removeprefix("torch."),
        size_bytes=sum(each.numel() * each.element_size() for each in model.parameters()),
        image_size_px=_read_image_size(model.config),
    )


def _read_image_size(config: Any) -> tuple[int, int] | None:  # noqa: ANN401
    size = getattr(config, "image_size", None)
    edges = [size, size] if isinstance(size, int) else size
    if not isinstance(edges, list | tuple) or len(edges) != 2:
        return None
    if not all(isinstance(each, int) and 0 < each <= _MAX_EDGE_PX for each in edges):
        return None
    return edges[0], edges[1]


def _choose_function(config: Any) -> FunctionToApply:  # noqa: ANN401
    """The default activation of a model, by the rule of transformers' own pipeline."""
    if config.problem_type == "regression":
        return "none"
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return "sigmoid"
    return "softmax"
