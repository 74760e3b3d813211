"""What is to be known of a model before a job: what it is, and how it would be run here."""

import dataclasses
from typing import Any

from imgcls_beam.classifying import ClassifierCard, ClassifierSpec
from imgcls_beam.classifying.cpu import count_model_cores
from imgcls_beam.classifying.known import KIND, make_key
from imgcls_beam.json_bounds import load_bounded_file
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.models import fetch_model, find_licence
from imgcls_beam.models.keeping import find_kept
from imgcls_beam.options import JobOptions
from imgcls_beam.preparing import Preparer
from imgcls_beam.ranking import choose_parameters
from imgcls_beam.scoring import ModelSource
from imgcls_beam.spec import NO_PARAMETERS

_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
_WHY_DEVICE = {
    "cpu": "there is no CUDA device here",
    "cuda": "there is a CUDA device here",
}
_WHY_DTYPE = {
    "cpu": "the CPU's own",
    "cuda": "the checkpoint's own",
}
_ASKED = "asked for"


@dataclasses.dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model, and how a job would run it here.

    Attributes:
        model_id: as it was given.
        revision: commit, or SHA-256 of a folder.
        weights: the file they are read from.
        parameters: how many numbers it has learned; None where their type is not known.
        size_bytes: of them in memory.
        labels: by class index.
        function_to_apply: the activation of a job without requests of another one.
        why_function: by whose word.
        processor: class of its image processor.
        licence: as its card says; None where it does not.
        device: where it runs.
        why_device: half a sentence.
        dtype: of its weights.
        why_dtype: half a sentence.
        engine: what runs it; None where that is not known.
        why_engine: half a sentence.
        is_kept: whether this machine had kept its form for that engine before; None where there is
            nothing to keep.
        batch_size: images in a forward pass.
        threads: cores of the CPU that it uses; None on another device.
        preprocess: `exact` or `fast`.
        preprocess_way: half a sentence.
    """

    model_id: str
    revision: str
    weights: str | None
    parameters: int | None
    size_bytes: int
    labels: tuple[str, ...]
    function_to_apply: str
    why_function: str
    processor: str
    licence: str | None
    device: str
    why_device: str
    dtype: str
    why_dtype: str
    engine: str | None
    why_engine: str
    is_kept: bool | None
    batch_size: int
    threads: int | None
    preprocess: str
    preprocess_way: str


def describe_model(
    job: JobOptions,
    source: ModelSource,
    card: ClassifierCard,
    preparer: Preparer,
    batch_size: int,
    is_kept: bool | None,
) -> ModelFacts:
    """The facts of a model that was loaded for a job.

    Args:
        job: what is asked of it.
        source: the model, pinned.
        card: of the loaded model.
        preparer: of its images.
        batch_size: images in a forward pass.
        is_kept: see `ModelFacts`.
    """
    asked = job.model
    item_bytes = _BYTES.get(card.dtype)
    applied = choose_parameters(
        NO_PARAMETERS, asked.top_k, asked.function_to_apply, card.function_to_apply
    )
    return ModelFacts(
        model_id=source.model_id,
        revision=source.revision,
        weights=source.weights,
        parameters=card.size_bytes // item_bytes if item_bytes else None,
        size_bytes=card.size_bytes,
        labels=card.labels,
        function_to_apply=applied.function_to_apply,
        why_function=_explain_function(applied.function_source, source, len(card.labels)),
        processor=preparer.processor_name,
        licence=find_licence(source),
        **_explain_place(asked, card),
        is_kept=is_kept,
        batch_size=batch_size,
        preprocess=job.decode.preprocess,
        preprocess_way=_explain_way(preparer, is_fast=job.decode.preprocess == "fast"),
    )


def _explain_place(asked: ModelOptions, card: ClassifierCard) -> dict[str, Any]:
    """Where the model runs and by what, each with its reason: fields of `ModelFacts`."""
    kind = card.device.partition(":")[0]
    return {
        "device": card.device,
        "why_device": _ASKED if asked.device != "auto" else _WHY_DEVICE[kind],
        "dtype": card.dtype,
        "why_dtype": _ASKED if asked.dtype != "auto" else _WHY_DTYPE[kind],
        "engine": None if card.engine is None else card.engine.name,
        "why_engine": "" if card.engine is None else card.engine.why,
        "threads": (asked.threads or count_model_cores()) if kind == "cpu" else None,
    }


def _explain_function(chosen_by: str, source: ModelSource, labels: int) -> str:
    """By whose word an activation is applied: the job's, or the model's config's."""
    if chosen_by == "job":
        return _ASKED
    problem_type = _read_config(source).get("problem_type")
    if problem_type is not None:
        return f"problem_type of its config is {problem_type}"
    if labels == 1:
        return "it has one label"
    return "its config names no problem_type, and it has several labels"


def _explain_way(preparer: Preparer, *, is_fast: bool) -> str:
    if preparer.way == "geometry" and is_fast:
        return "from reduced JPEGs, squares averaged, scaled on the device"
    if preparer.way == "geometry":
        return "resized as its processor does it, scaled on the device"
    return "by its processor, called for each image"


def _read_config(source: ModelSource) -> dict[str, Any]:
    """Its config.json, which was checked when the model was loaded."""
    config: dict[str, Any] = load_bounded_file(fetch_model(source) / "config.json")
    return config


def is_form_kept(asked: ModelOptions, source: ModelSource, preparer: Preparer) -> bool:
    """Whether this machine keeps the form of a model that its engine runs."""
    how = (asked.device, asked.dtype, asked.engine, asked.threads)
    key = make_key(ClassifierSpec(source, preparer.affine, *how))
    return find_kept(KIND, key) is not None
