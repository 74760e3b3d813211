"""Whether a model could be loaded, by all but its weights. Heavy: imports torch.

Nothing is kept in memory of a model that is only made of its config.
"""

from typing import Any

import torch

from imgcls_beam.classifying.building import OversizeError, bounded_building
from imgcls_beam.classifying.checkpoints import LOAD_FAULTS, explain_settings
from imgcls_beam.errors import ModelError
from imgcls_beam.models import Outline, fetch_model
from imgcls_beam.reasons import describe_reason


def check_unloaded(outline: Outline) -> None:
    """Makes a model of a config, without its weights, and looks for those of its head.

    Raises:
        ModelError: none can be made, or its files have no weight of the head.
    """
    source = outline.source
    try:
        model = _make(outline)
    except OversizeError as error:
        raise ModelError(f"{source.model_id}: {error}") from error
    except LOAD_FAULTS as error:
        reason = explain_settings(source)
        if reason is None and _needs_memory(outline):
            return
        reason = reason or f"the model cannot be loaded ({describe_reason(error)})"
        raise ModelError(f"{source.model_id}: {reason}") from error
    if outline.tensors is not None and _lacks_head(model, outline.tensors):
        problem = "its files have no weight of the part that tells classes apart"
        advice = "it would predict at random; train it for a task first"
        raise ModelError(f"{source.model_id}: {problem}, so {advice}")


def _make(outline: Outline, device: str = "meta") -> Any:  # noqa: ANN401  transformers' own class
    from transformers import AutoConfig, AutoModelForImageClassification

    folder = str(fetch_model(outline.source))
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with bounded_building(outline.weights_bytes), torch.device(device):
        return AutoModelForImageClassification.from_config(config, trust_remote_code=False)


def _needs_memory(outline: Outline) -> bool:
    """Whether a model can be made all the same: some compute tables while they are made."""
    try:
        _make(outline, "cpu")
    except LOAD_FAULTS:
        return False
    return True


def _lacks_head(model: Any, tensors: frozenset[str]) -> bool:  # noqa: ANN401
    """Whether the files have no weight of a model's head, under whatever prefix.

    Names within the body are others in files than in the library here and there, those of heads are
    not. A single weight that is missing is found by whoever loads the model: not all are read.
    """
    body = f"{model.base_model_prefix}."
    learned = [name for name, each in model.named_parameters() if each.requires_grad]
    head = tuple(name for name in learned if not name.startswith(body))
    if not head or len(head) == len(learned):
        return False
    ends = tuple(f".{name}" for name in head)
    return not any(name in head or name.endswith(ends) for name in tensors)
