"""`ImageClassificationModelHandler`: the task as a model of Beam's RunInference.

Importing this module imports torch, because `apache_beam.ml.inference` does.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from apache_beam.ml.inference.base import ModelHandler, PredictionResult
from PIL import Image

from imgcls_beam.classifying import Classifier, ClassifierSpec, load_classifier
from imgcls_beam.elements import (
    EncodedImage,
    Failure,
    ImageRef,
    ModelInputs,
    ModelSource,
    Outcome,
    PixelArray,
)
from imgcls_beam.errors import ConfigError, ImageError, ModelError
from imgcls_beam.metrics import NAMESPACE
from imgcls_beam.models import resolve_model
from imgcls_beam.options import (
    DEFAULT_MODEL,
    DEFAULT_TOP_K,
    DecodeOptions,
    Device,
    Dtype,
    ModelOptions,
    ReadOptions,
)
from imgcls_beam.predicting import Question, predict_images
from imgcls_beam.preparing import (
    Preparer,
    decode_pool,
    load_preparer,
    prepare_image,
    prepare_opened,
)
from imgcls_beam.reading import read_images
from imgcls_beam.spec import FunctionToApply, ResponseElement, to_response

Example = bytes | Image.Image | ImageRef | EncodedImage | PixelArray | Failure
"""What the handler takes. A `Failure` of an earlier stage comes out as it is."""

BATCH_SIZE_OF: dict[Device, int] = {"auto": 16, "cpu": 16, "cuda": 64}
"""Images in a forward pass where nobody says."""

_INFERENCE_ARGS = ("function_to_apply", "top_k")


class ImageClassificationModelHandler(ModelHandler[Example, PredictionResult, Classifier]):
    """Classifies images inside RunInference.

    Takes encoded images as `bytes`, opened ones as `PIL.Image`, or `ImageRef`s to read; gives a
    `PredictionResult` each, in order, whose `inference` is the task's response
    (`[{"label": …, "score": …}, …]`, best first), or a `Failure` where this one image could not be
    read, decoded or predicted. Text is refused: what might be a path or URL is never opened.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        revision: str | None = None,
        top_k: int | None = DEFAULT_TOP_K,
        function_to_apply: FunctionToApply | None = None,
        device: Device = "auto",
        dtype: Dtype = "auto",
        batch_size: int | None = None,
        share_model_across_processes: bool = False,
        source: ModelSource | None = None,
        read: ReadOptions | None = None,
        decode: DecodeOptions | None = None,
        **batching: Any,  # noqa: ANN401  handed on to ModelHandler
    ) -> None:
        """Checks the options; loads nothing.

        Args:
            model: hub id, or local folder in the Hugging Face layout.
            revision: branch, tag or commit of a hub model.
            top_k: at most so many labels; None for every label.
            function_to_apply: sigmoid, softmax, none; None leaves it to the model.
            device: `auto` takes CUDA where the worker has it.
            dtype: of the weights; scores are float32 in any case.
            batch_size: images in a forward pass. Batches are of this one size, because Beam's
                growing ones start again at 1 in each bundle.
            share_model_across_processes: one model for all processes of a worker.
            source: the model, already pinned; else each worker asks the hub for itself.
            read: how `ImageRef`s are read.
            decode: limits for encoded images.
            **batching: what `ModelHandler` knows beside: `max_batch_duration_secs`,
                `model_copies`, `env_vars`.

        Raises:
            ConfigError: a value that is not allowed.
        """
        self._options = ModelOptions(
            model, revision, top_k, function_to_apply, device, dtype, batch_size
        )
        size = batch_size or BATCH_SIZE_OF[device]
        batching = {"min_batch_size": size, "max_batch_size": size, **batching}
        super().__init__(large_model=share_model_across_processes, **batching)
        self._has_copies = (batching.get("model_copies") or 1) > 1
        self._source = source
        self._read = read or ReadOptions()
        self._decode = decode or DecodeOptions()

    def load_model(self) -> Classifier:
        """Loads the model, and asks it about a blank image.

        Raises:
            ModelError: it cannot be loaded, or would predict at random.
        """
        preparer = self._find_preparer()
        spec = ClassifierSpec(
            self._find_source(), preparer.affine, self._options.device, self._options.dtype
        )
        classifier = load_classifier(spec, is_copy=self._has_copies)
        _try_blank(classifier, preparer, spec.source)
        return classifier

    def run_inference(
        self,
        batch: Sequence[Example],
        model: Classifier,
        inference_args: Mapping[str, Any] | None = None,
    ) -> list[PredictionResult]:
        """Classifies a batch; one result each, in order.

        Args:
            batch: of any mix of the types in `Example`.
            model: from `load_model`.
            inference_args: `top_k` and `function_to_apply`, over the handler's own.

        Raises:
            TypeError: an example of another type.
        """
        prepared = self._prepare(batch)
        images = [each for each in prepared if isinstance(each, PixelArray)]
        question = self._to_question(inference_args)
        draw_blank = functools.partial(_draw_blank, model, self._find_preparer())
        predicted = iter(predict_images(images, model, question, draw_blank))
        outcomes = [each if isinstance(each, Failure) else next(predicted) for each in prepared]
        name = self._find_source().display_name
        return [
            PredictionResult(example, self._to_inference(outcome), name)
            for example, outcome in zip(batch, outcomes, strict=True)
        ]

    def validate_inference_args(self, inference_args: Mapping[str, Any] | None) -> None:
        """Refuses what the task does not know.

        Raises:
            ConfigError: another name than `top_k` and `function_to_apply`, or a value that is not
                allowed.
        """
        self._to_question(inference_args)

    def get_num_bytes(self, batch: Sequence[Example]) -> int:
        """Size of a batch as it is held, without pickling it."""
        return sum(map(_count_bytes, batch))

    def get_metrics_namespace(self) -> str:
        """The namespace of every counter of this package."""
        return NAMESPACE

    def update_model_path(self, model_path: str | None = None) -> None:
        """Turns to another model; Beam calls this before it loads one by side input."""
        if model_path and model_path != self._options.model:
            self._options = dataclasses.replace(self._options, model=model_path, revision=None)
            self._source = None

    def _to_inference(self, outcome: Outcome) -> list[ResponseElement] | Outcome:
        return outcome if isinstance(outcome, Failure) else to_response(outcome.labels)

    def _to_question(self, inference_args: Mapping[str, Any] | None) -> Question:
        args = dict(inference_args or {})
        for name in args:
            if name not in _INFERENCE_ARGS:
                allowed = f"no such argument; allowed: {', '.join(_INFERENCE_ARGS)}"
                raise ConfigError(f"inference_args[{name!r}]", args[name], allowed)
        asked = dataclasses.replace(self._options, **args)
        return Question(asked.top_k, asked.function_to_apply)

    def _find_source(self) -> ModelSource:
        if self._source is None:
            self._source = resolve_model(self._options.model, self._options.revision)
        return self._source

    def _find_preparer(self) -> Preparer:
        return load_preparer(self._find_source())

    def _prepare(self, batch: Sequence[Example]) -> list[PixelArray | Failure]:
        refs = [example for example in batch if isinstance(example, ImageRef)]
        read = iter(read_images(refs, self._read) if refs else ())
        opened = [next(read) if isinstance(each, ImageRef) else each for each in batch]
        prepare = functools.partial(
            _prepare_example, preparer=self._find_preparer(), decode=self._decode
        )
        if all(isinstance(each, PixelArray | Failure) for each in opened):
            return [prepare(each) for each in opened]
        return list(decode_pool().map(prepare, opened))


def _try_blank(classifier: Classifier, preparer: Preparer, source: ModelSource) -> None:
    """Asks a model about a blank image, through its own processor.

    Raises:
        ModelError: it cannot take what its processor gives, or answers what is not finite.
    """
    try:
        logits = classifier.classify([_draw_blank(classifier, preparer)]).logits
    except (TypeError, ValueError, RuntimeError, LookupError, ImageError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        problem = f"{source.model_id}: the model cannot take what its image processor gives"
        raise ModelError(f"{problem} ({reason})") from error
    if not np.isfinite(logits).all():
        raise ModelError(f"{source.model_id}: a blank image has scores that are not finite")


def _draw_blank(classifier: Classifier, preparer: Preparer) -> ModelInputs:
    """A grey image of the size that the model names: not every processor resizes."""
    height_px, width_px = classifier.describe().image_size_px or (64, 64)
    return preparer.prepare(Image.new("RGB", (width_px, height_px), (127, 127, 127)))


def _prepare_example(
    example: Example, preparer: Preparer, decode: DecodeOptions
) -> PixelArray | Failure:
    if isinstance(example, PixelArray | Failure):
        return example
    if isinstance(example, EncodedImage):
        return prepare_image(example, preparer, decode)
    if isinstance(example, bytes):
        return prepare_image(EncodedImage(ImageRef(uri=""), example), preparer, decode)
    if isinstance(example, Image.Image):
        return prepare_opened(example, preparer)
    kind = type(example).__name__
    raise TypeError(f"{kind} is no image; give bytes, PIL.Image or ImageRef (never a path or URL)")


def _count_bytes(example: Example) -> int:
    if isinstance(example, PixelArray):
        return sum(each.nbytes for each in example.inputs.values())
    if isinstance(example, EncodedImage):
        return len(example.data)
    if isinstance(example, bytes):
        return len(example)
    if isinstance(example, Image.Image):
        return example.width * example.height * len(example.getbands())
    return (example.size_bytes or 0) if isinstance(example, ImageRef) else 0


def make_outcome_handler(
    options: ModelOptions, source: ModelSource, decode: DecodeOptions | None = None
) -> ModelHandler:
    """The handler of our own pipeline: `PredictionResult.inference` is the whole outcome."""
    return _OutcomeHandler(
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(options)},
        source=source,
        decode=decode,
    )


class _OutcomeHandler(ImageClassificationModelHandler):
    def _to_inference(self, outcome: Outcome) -> Outcome:
        return outcome
