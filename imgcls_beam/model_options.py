"""Which model, on what, and what is asked of it."""

import dataclasses
from typing import Literal, TypedDict, Unpack, get_args

from imgcls_beam.checks import (
    check_choice,
    check_count,
    check_names,
    check_text,
)
from imgcls_beam.errors import ConfigError
from imgcls_beam.scoring import WeightsForm
from imgcls_beam.spec import FunctionToApply, SpecError, check_function_to_apply, check_top_k

DEFAULT_MODEL = "google/vit-base-patch16-224"
DEFAULT_TOP_K = 5
"""What the live API answers where no top_k is given."""
Device = Literal["auto", "cpu", "cuda"]
Dtype = Literal["auto", "float32", "bfloat16", "float16", "bfloat16!"]
"""`bfloat16!` is bfloat16 even on a processor that only emulates it."""
Engine = Literal["auto", "torch", "openvino", "torch.compile"]
"""`torch.compile` is torch, which compiles convolutional models for a GPU where that is faster."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model, on what, and what is asked of it.

    Attributes:
        model: hub id (`owner/name`), or a folder in the Hugging Face layout, by its path or URL.
        revision: branch, tag or commit of a hub model; None for its main branch.
        top_k: at most so many labels; None for every label.
        function_to_apply: sigmoid, softmax, none; None leaves it to the model.
        device: `auto` takes CUDA where there is one.
        dtype: of the weights; `auto` is float32 on the CPU and the checkpoint's own on CUDA.
        batch_size: images in a forward pass; None lets the device decide.
        engine: what runs the model; `auto` takes the fastest that is installed and gives the same
            scores; `torch.compile` compiles convolutional models on a GPU, where that is faster.
        threads: cores that the model uses on the CPU; None: all, shared with the other processes
            of this machine that classify.
        weights: what they may be read from: `auto` prefers safetensors; `safetensors` refuses a
            model that has none, before anything of it is read.
    """

    model: str = DEFAULT_MODEL
    revision: str | None = None
    top_k: int | None = DEFAULT_TOP_K
    function_to_apply: FunctionToApply | None = None
    device: Device = "auto"
    dtype: Dtype = "auto"
    batch_size: int | None = None
    engine: Engine = "auto"
    threads: int | None = None
    weights: WeightsForm = "auto"

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a value that is not allowed."""
        check_text("model", self.model)
        if self.revision is not None:
            check_text("revision", self.revision)
        try:
            if self.top_k is not None:
                check_top_k(self.top_k)
            if self.function_to_apply is not None:
                check_function_to_apply(self.function_to_apply)
        except SpecError as error:
            name = error.field.removeprefix("parameters.")
            none = "every label" if name == "top_k" else "the model's own rule"
            problem = f"allowed: {error.allowed}, or None for {none}"
            raise ConfigError(name, getattr(self, name), problem) from error
        check_choice("device", self.device, get_args(Device))
        check_choice("dtype", self.dtype, get_args(Dtype))
        if self.batch_size is not None:
            check_count("batch_size", self.batch_size)
        if self.threads is not None:
            check_count("threads", self.threads)
        check_choice("weights", self.weights, get_args(WeightsForm))
        self._check_engine()

    def _check_engine(self) -> None:
        check_choice("engine", self.engine, get_args(Engine))
        if self.engine == "torch.compile" and self.device == "cpu":
            raise ConfigError("engine", self.engine, "it is for GPUs; give auto")
        if self.engine == "openvino" and self.device == "cuda":
            raise ConfigError("engine", self.engine, "it runs on the CPU; give torch")
        if self.engine == "openvino" and self.dtype == "float16":
            problem = "it runs float32 and bfloat16; give torch"
            raise ConfigError("engine", self.engine, problem)


class ModelKeywords(TypedDict, total=False):
    """The fields of `ModelOptions` beside `model`, as keywords of transforms and of the handler."""

    revision: str | None
    top_k: int | None
    function_to_apply: FunctionToApply | None
    device: Device
    dtype: Dtype
    batch_size: int | None
    engine: Engine
    threads: int | None
    weights: WeightsForm


def to_model_options(
    model: str | ModelOptions = DEFAULT_MODEL, **keywords: Unpack[ModelKeywords]
) -> ModelOptions:
    """What a transform or the handler was given: options, or a model and keywords.

    Args:
        model: its name, or the whole options.
        **keywords: fields of `ModelOptions`; they override those of options that are given.

    Raises:
        ConfigError: a name that is no field, or a value that is not allowed.
    """
    check_names(keywords, MODEL_FIELDS)
    if isinstance(model, ModelOptions):
        return dataclasses.replace(model, **keywords)
    return ModelOptions(model, **keywords)


MODEL_FIELDS = tuple(field.name for field in dataclasses.fields(ModelOptions))
