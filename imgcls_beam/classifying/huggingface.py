"""The Hugging Face classifier. Heavy: importing this module imports torch."""

import time
from collections.abc import Callable
from typing import Any

import torch

from imgcls_beam.classifying.checkpoints import (
    LOAD_FAULTS,
    Checkpoint,
    explain_settings,
    load_checkpoint,
)
from imgcls_beam.classifying.configs import name_labels, read_config
from imgcls_beam.classifying.core_share import share_cores
from imgcls_beam.classifying.cpu import has_bfloat16
from imgcls_beam.classifying.deciding import Plain
from imgcls_beam.classifying.engines import choose_runner
from imgcls_beam.classifying.feeding import Feed, Tensors
from imgcls_beam.classifying.finiteness import check_finite
from imgcls_beam.classifying.gaps import check_gaps, fill_gaps
from imgcls_beam.classifying.judging import Judge, answer
from imgcls_beam.classifying.known import load_other
from imgcls_beam.classifying.protocol import ClassifierCard, ClassifierSpec, DrawProbes
from imgcls_beam.classifying.running import Runner, RunningClassifier
from imgcls_beam.classifying.torch_running import make_torch_runner
from imgcls_beam.errors import ModelError
from imgcls_beam.model_options import Dtype
from imgcls_beam.models import fetch_model
from imgcls_beam.reasons import describe_reason
from imgcls_beam.scoring import EngineChoice
from imgcls_beam.spec import FunctionToApply

_CANNOT_TAKE = "the model cannot take what its image processor gives ({})"

_MAX_EDGE_PX = 2048
"""A config that names a larger image is not believed."""


class HuggingFaceClassifier(RunningClassifier):
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
                weight that a prediction reads, or holds one that is not finite. Or the engine that
                was asked for cannot run it.
        """
        runner, successor = choose_runner(plain := load_plain(spec, draw_probes))
        # Nothing here holds the model any more: the runner may take another form of it.
        super().__init__(plain.card, runner, lambda: load_other(spec), clock_s, successor)


def load_plain(spec: ClassifierSpec, draw_probes: DrawProbes) -> Plain:
    """A model as it is loaded, and checked; see `HuggingFaceClassifier`.

    Raises:
        ModelError: as there.
    """
    feed = _make_feed(spec)
    config = read_config(fetch_model(spec.source), spec.source)
    checkpoint = _load(spec, feed.device)
    card = _describe(checkpoint.model, config, feed.device)
    judge = _check(spec, checkpoint, feed, feed.stack(draw_probes(card.image_size_px)))
    return Plain(spec, card, checkpoint.model, feed, judge, lambda: _load(spec, feed.device).model)


def load_plain_runner(spec: ClassifierSpec, choice: EngineChoice) -> Runner:
    """A model that was checked before, as the library runs it."""
    feed = _make_feed(spec)
    return make_torch_runner(choice, _load(spec, feed.device).model, feed, share_cores(spec))


def _make_feed(spec: ClassifierSpec) -> Feed:
    """The feed of the device.

    Raises:
        ModelError: there is no such device, or it only emulates the type of the weights.
    """
    device = _choose_device(spec)
    if device.type == "cpu" and spec.dtype == "bfloat16" and not has_bfloat16():
        problem = "this processor only emulates bfloat16, tens of times slower than float32"
        advice = "give --dtype=float32, or --dtype=bfloat16! all the same"
        raise ModelError(f"{spec.source.model_id}: {problem}; {advice}")
    return Feed(device, spec.affine)


def _load(spec: ClassifierSpec, device: torch.device) -> Checkpoint:
    dtype: Dtype = "bfloat16" if spec.dtype == "bfloat16!" else spec.dtype
    is_plain = (dtype, device.type) == ("auto", "cpu")
    checkpoint = load_checkpoint(spec.source, "float32" if is_plain else dtype)
    checkpoint.model.to(device)
    if device.type == "cuda" and checkpoint.model.dtype == torch.float32:
        # Torch rounds convolutions on CUDA to the 10 bits of TF32 unless told not to; bfloat16
        # is faster still, for those who ask for it. Holds for the whole process.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    return checkpoint


def _check(spec: ClassifierSpec, checkpoint: Checkpoint, feed: Feed, probes: Tensors) -> Judge:
    """Checks a model; gives back what knows its plain answers."""
    source, model = spec.source, checkpoint.model
    fill_gaps(checkpoint)
    with torch.no_grad():
        check_finite(checkpoint, source, lambda: answer(model, feed, probes))
        try:
            plain = answer(model, feed, probes)
        except LOAD_FAULTS as error:
            settings = explain_settings(source, feed.move(probes, torch.float32))
            reason = settings or _CANNOT_TAKE.format(describe_reason(error))
            raise ModelError(f"{source.model_id}: {reason}") from error
        check_gaps(checkpoint, source, lambda: answer(model, feed, probes))
    return Judge(feed, probes, plain)


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
