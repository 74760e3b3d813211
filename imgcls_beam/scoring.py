"""Which model an image is scored with, what is asked of it, and how it was run."""

import dataclasses
import datetime
import re
from typing import Literal

from imgcls_beam.spec import FunctionToApply

REVISION_CHARS = 12
"""How much of a revision is in `model_key` and in paths."""
Preprocess = Literal["exact", "fast"]
"""How images are prepared: as the model's own processor does it, grey level by grey level; or from
reduced JPEGs, squares of pixels averaged."""
_FOLDER_REVISION = re.compile("[0-9a-f]{64}")


def make_model_key(model_id: str, revision: str) -> str:
    """The word by which models are told apart: equal keys, equal models.

    A folder is its content, wherever it lies and however its path is spelled.

    Args:
        model_id: hub id; the name of a folder does not matter.
        revision: as in `ModelSource`; 64 hex digits are a folder's.

    Returns:
        `owner/name@` and the first 12 digits of the commit, or `folder@` and those of the SHA-256.
    """
    name = "folder" if _FOLDER_REVISION.fullmatch(revision) else model_id
    return f"{name}@{revision[:REVISION_CHARS]}"


WeightsForm = Literal["auto", "safetensors"]
"""What weights may be read from: `auto` is also a pickle, by a loader that takes tensors alone."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelSource:
    """A model pinned to one content.

    Attributes:
        model_id: hub id, or folder as given: shown, never compared.
        revision: 40 hex digits of a commit, or the sha256 of a folder's files.
        location: what to load from: a hub id, a local folder, or a folder's URL.
        commit: the commit to ask the hub for; None for a folder.
        weights: the file its weights are read from, or the index of such files, e.g.
            `model.safetensors`; None where that is not known.
    """

    model_id: str
    revision: str
    location: str
    commit: str | None = None
    weights: str | None = None

    @property
    def key(self) -> str:
        """Equal for equal models, see `make_model_key`."""
        return make_model_key(self.model_id, self.revision)

    @property
    def display_name(self) -> str:
        """For people: the id as given, `@` and the first 12 digits of the revision."""
        return f"{self.model_id}@{self.revision[:REVISION_CHARS]}"


@dataclasses.dataclass(frozen=True, slots=True)
class Scoring:
    """A model, and what the job asks of it: scores of one scoring can be compared.

    Attributes:
        model: the model, pinned.
        top_k: at most so many labels; None for every label.
        function_to_apply: what the job asks for; None leaves it to the model.
        preprocess: how its images are prepared.
    """

    model: ModelSource
    top_k: int | None
    function_to_apply: FunctionToApply | None = None
    preprocess: Preprocess = "exact"


@dataclasses.dataclass(frozen=True, slots=True)
class ChannelAffine:
    """The arithmetic after the geometry: `pixel * scale + shift`, channel by channel.

    Channels are in the model's order.

    Attributes:
        scale: factor of a uint8 pixel value.
        shift: added after the factor.
    """

    scale: tuple[float, float, float]
    shift: tuple[float, float, float]


@dataclasses.dataclass(frozen=True, slots=True)
class AppliedParameters:
    """What was applied to the logits, and on whose word.

    Attributes:
        top_k: how many labels were asked for; None for all of them.
        function_to_apply: the activation that was applied.
        function_source: who chose it: `request`, `job` or `model`.
    """

    top_k: int | None
    function_to_apply: FunctionToApply
    function_source: str


@dataclasses.dataclass(frozen=True, slots=True)
class EngineChoice:
    """What ran a model, and why.

    Attributes:
        name: `torch`, `torch.compile` or `openvino`.
        why: half a sentence.
    """

    name: str
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Execution:
    """How one batch was run; its images share one object.

    Attributes:
        device: e.g. `cpu`, `cuda:0`.
        dtype: of the weights, e.g. `float32`.
        batch_size: how many images were in the forward pass.
        inference_ms: wall time inside the model, see `ForwardPass`, divided by its images.
        finished_at: UTC.
        engine: what ran it; None where that is not known.
    """

    device: str
    dtype: str
    batch_size: int
    inference_ms: float
    finished_at: datetime.datetime
    engine: EngineChoice | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SandboxState:
    """Where images were decoded, and what held there.

    Attributes:
        where: `child`: in a process that can do nothing else; `worker`: in that of the worker.
        locks: of the child: `no_new_privileges`, `landlock`, `limits`, `seccomp`.
        why: of `worker`: half a sentence.
    """

    where: Literal["child", "worker"]
    locks: tuple[str, ...] = ()
    why: str = ""
