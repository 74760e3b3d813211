"""The Hugging Face classifier. Heavy: importing this module imports torch."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from imgcls_beam.classifying.checkpoints import (
    LOAD_FAULTS,
    Checkpoint,
    check_finite,
    explain_settings,
    load_checkpoint,
)
from imgcls_beam.classifying.configs import name_labels, read_config
from imgcls_beam.classifying.feeding import Feed, Tensors
from imgcls_beam.classifying.gaps import check_gaps
from imgcls_beam.classifying.judging import Judge, answer, find_logits
from imgcls_beam.classifying.protocol import (
    ClassifierCard,
    ClassifierSpec,
    DrawProbes,
    ForwardPass,
    Logits,
)
from imgcls_beam.classifying.tuning import tune
from imgcls_beam.elements import ModelInputs
from imgcls_beam.errors import ModelError
from imgcls_beam.models import fetch_model
from imgcls_beam.reasons import describe_reason
from imgcls_beam.spec import FunctionToApply

_CANNOT_TAKE = "the model cannot take what its image processor gives ({})"

_MAX_EDGE_PX = 8192
"""A config that names a larger image is not believed."""


class HuggingFaceClassifier:
    """A model of `AutoModelForImageClassification`, checked before its first image."""

    def __init__(
        self,
        spec: ClassifierSpec,
        draw_probes: DrawProbes,
        clock_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Loads the model, puts it on its device, and chooses how it is run.

        Args:
            spec: which model, and on what.
            draw_probes: the pictures that it is asked about first.
            clock_s: times its passes, in seconds.

        Raises:
            ModelError: it cannot be loaded, or would predict at random: the checkpoint lacks a
                weight that a prediction reads, or holds one that is not finite.
        """
        self._spec, self._clock_s = spec, clock_s
        self._feed = Feed(_choose_device(spec), spec.affine)
        config = read_config(fetch_model(spec.source), spec.source)
        checkpoint = self._load()
        self._card = _describe(checkpoint.model, config, self._feed.device)
        probes = self._feed.stack(draw_probes(self._card.image_size_px))
        self._model = self._check_and_tune(checkpoint, probes)
        # Harness threads call one model at once: together they would only share its cores, each
        # with activations of its own.
        self._turn = threading.Lock()

    def describe(self) -> ClassifierCard:
        """What this model is."""
        return self._card

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
        """One forward pass, see `Classifier.classify`.

        Raises:
            ModelError: the model gives another number of scores than it has labels.
        """
        stacked = self._feed.stack(batch)
        with self._turn, torch.inference_mode():
            start_s = self._clock_s()
            outputs = self._model(**self._feed.move(stacked, self._model.dtype))
            logits: Logits = find_logits(outputs).to(torch.float32).cpu().numpy()
            elapsed_ms = (self._clock_s() - start_s) * 1e3
        count = len(self._card.labels)
        if logits.shape != (len(batch), count):
            raise ModelError(f"the model gives scores of shape {logits.shape} for {count} labels")
        return ForwardPass(logits, elapsed_ms)

    def _load(self) -> Checkpoint:
        is_plain = (self._spec.dtype, self._feed.device.type) == ("auto", "cpu")
        checkpoint = load_checkpoint(self._spec.source, "float32" if is_plain else self._spec.dtype)
        checkpoint.model.to(self._feed.device)
        if self._feed.device.type == "cuda" and checkpoint.model.dtype == torch.float32:
            # Torch rounds convolutions on CUDA to the 10 bits of TF32 unless told not to; bfloat16
            # is faster still, for those who ask for it. Holds for the whole process.
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cuda.matmul.allow_tf32 = False
        return checkpoint

    def _check_and_tune(self, checkpoint: Checkpoint, probes: Tensors) -> Any:  # noqa: ANN401
        source, model = self._spec.source, checkpoint.model
        check_finite(checkpoint, source)
        with torch.no_grad():
            try:
                plain = answer(model, self._feed, probes)
            except LOAD_FAULTS as error:
                settings = explain_settings(source, self._feed.move(probes, torch.float32))
                reason = settings or _CANNOT_TAKE.format(describe_reason(error))
                raise ModelError(f"{source.model_id}: {reason}") from error
            check_gaps(checkpoint, source, lambda: answer(model, self._feed, probes))
            judge = Judge(self._feed, probes, plain)
            return tune(model, self._feed, judge, lambda: self._load().model)


def _choose_device(spec: ClassifierSpec) -> torch.device:
    if spec.device != "cpu" and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if spec.device == "cuda":
        raise ModelError("device cuda was asked for, but torch finds no CUDA device here")
    return torch.device("cpu")


def _describe(model: Any, config: dict[str, Any], device: torch.device) -> ClassifierCard:  # noqa: ANN401
    return ClassifierCard(
        labels=name_labels(config, model.config),
        function_to_apply=_choose_function(model.config),
        device=str(device),
        dtype=str(model.dtype).removeprefix("torch."),
        size_bytes=sum(each.numel() * each.element_size() for each in model.parameters()),
        image_size_px=_read_image_size(model.config),
    )


def _read_image_size(config: Any) -> tuple[int, int] | None:  # noqa: ANN401
    size = getattr(config, "image_size", None)
    pretrained = getattr(config, "pretrained_cfg", None)
    if isinstance(pretrained, dict) and isinstance(pretrained.get("input_size"), list | tuple):
        size = pretrained["input_size"][1:]  # timm's, after the number of channels
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
