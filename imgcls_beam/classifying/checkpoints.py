"""A model's folder → the model, as the library loads it. Heavy: imports torch."""

import contextlib
import dataclasses
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from imgcls_beam.classifying.building import OversizeError, bounded_building
from imgcls_beam.classifying.configs import explain_misfits, explain_quantization
from imgcls_beam.classifying.feeding import Tensors
from imgcls_beam.errors import ModelError
from imgcls_beam.json_bounds import load_bounded_file
from imgcls_beam.model_options import Dtype
from imgcls_beam.models import fetch_model, measure_weights
from imgcls_beam.models.model_files import list_needed, read_bounded
from imgcls_beam.reasons import describe_reason
from imgcls_beam.scoring import ModelSource

LOAD_FAULTS = (
    *(OSError, ValueError, TypeError, ImportError, RuntimeError, LookupError, AttributeError),
    *(ArithmeticError, AssertionError, SafetensorError, pickle.UnpicklingError),
    StrictDataclassError,
)
"""What a folder that holds no such model, or a damaged one, makes the libraries raise."""


_ADAPTER = "adapter_config.json"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model, and what its files lacked.

    Attributes:
        model: of transformers, ready to predict, on the CPU.
        missing: names of weights that no file had, or had in another shape.
        misshapen: the latter, each with the shape in its file and the model's.
        unexpected: names of weights that a file had, and the model has not.
    """

    model: Any
    missing: tuple[str, ...]
    misshapen: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    unexpected: tuple[str, ...]

    def make_anew(self) -> Any:  # noqa: ANN401  transformers' own class
        """The same model without its weights."""
        return type(self.model)(self.model.config)

    @property
    def architecture(self) -> str | None:
        """The class that wrote the checkpoint, as its config names it."""
        return next(iter(self.model.config.architectures or ()), None)


def load_checkpoint(source: ModelSource, dtype: Dtype) -> Checkpoint:
    """Loads the one form of weights that was pinned; nothing is asked of the network.

    Raises:
        ModelError: it cannot be loaded.
    """
    try:
        with _bounded(source):
            model, info = _load_pretrained(source, dtype)
    except OversizeError as error:
        raise ModelError(f"{source.model_id}: {error}") from error
    except LOAD_FAULTS as error:
        problem = (
            _explain_pickle(source)
            or explain_settings(source)
            or _explain_quantization(source, error)
            or f"the model cannot be loaded ({describe_reason(error)})"
        )
        raise ModelError(f"{source.model_id}: {problem}") from error
    if info["missing_keys"] and (held := _explain_pickle(source)):
        raise ModelError(f"{source.model_id}: {held}")
    misshapen = {
        name: (tuple(found), tuple(wanted)) for name, found, wanted in info["mismatched_keys"]
    }
    return Checkpoint(
        model.eval(),
        tuple(sorted({*info["missing_keys"], *misshapen})),
        misshapen,
        tuple(sorted(info["unexpected_keys"])),
    )


def _bounded(source: ModelSource) -> contextlib.AbstractContextManager[None]:
    if source.weights is None:
        return contextlib.nullcontext()
    return bounded_building(measure_weights(fetch_model(source), source.weights))


def _load_pretrained(source: ModelSource, dtype: Dtype) -> tuple[Any, dict[str, Any]]:
    """The model, and what the library says of its weights."""
    from transformers import AutoModelForImageClassification

    folder = fetch_model(source)
    if (folder / _ADAPTER).exists():
        problem = f"its folder has {_ADAPTER}, by which the library may change its weights"
        raise ModelError(f"{source.model_id}: {problem}; merge the adapter, or take it out")
    loaded: tuple[Any, dict[str, Any]] = AutoModelForImageClassification.from_pretrained(
        str(folder),
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=None if source.weights is None else "safetensors" in source.weights,
        weights_only=True,
        dtype=dtype,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are in the info, and judged with what is missing
    )
    return loaded


def _explain_pickle(source: ModelSource) -> str | None:
    """What to say of a pickle that holds more than weights by their names, or none of these."""
    if source.weights is None or not source.weights.startswith("pytorch_model"):
        return None
    folder = fetch_model(source)
    needed = list_needed(source.model_id, source.weights, lambda name: read_bounded(folder / name))
    for path in (folder / name for name in needed if not name.endswith(".json")):
        try:
            held = torch.load(path, "cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except LOAD_FAULTS:
            return None
        if not isinstance(held, dict):
            problem = f"{path.name} holds no weights by their names but a {type(held).__name__}"
            return f"{problem}; save the model with save_pretrained() where it was made"
        for key, value in held.items():
            if isinstance(value, dict) and any(map(torch.is_tensor, value.values())):
                found = f"{path.name} is a trainer's checkpoint, its weights lie under {key!r}"
                return f"{found}; save them alone, or the model with save_pretrained()"
    return None


def _explain_quantization(source: ModelSource, error: Exception) -> str | None:
    config = load_bounded_file(fetch_model(source) / "config.json")
    return explain_quantization(config, describe_reason(error))


def explain_settings(source: ModelSource, inputs: Tensors | None = None) -> str | None:
    """Which setting of a model's config is to blame that it cannot be made or asked; None for none.

    Args:
        source: the model.
        inputs: what it cannot take; None where it cannot be made.
    """
    from transformers import AutoConfig, AutoModelForImageClassification

    def build(settings: dict[str, Any]) -> None:
        config = AutoConfig.for_model(**settings)
        # Nothing is kept in memory of a model that is only made; to answer it needs its weights.
        with _bounded(source), torch.device("meta" if inputs is None else "cpu"):
            model = AutoModelForImageClassification.from_config(config).eval()
        if inputs is not None:
            outputs = model(**{name: each.cpu() for name, each in inputs.items()})
            if isinstance(outputs, tuple):
                raise ValueError("scores without a name")

    path, is_thorough = fetch_model(source) / "config.json", inputs is None
    return explain_misfits(path, build, LOAD_FAULTS, is_thorough=is_thorough)
