"""`ImageClassificationModelHandler`: the task as a model of Beam's RunInference.

Importing this module imports torch, because `apache_beam.ml.inference` does.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apache_beam.ml.inference.base import ModelHandler, PredictionResult
from PIL import Image

from imgcls_beam.checks import check_count, check_names
from imgcls_beam.classifying import Classifier, ClassifierSpec, load_classifier
from imgcls_beam.elements import (
    EncodedImage,
    Failure,
    ImageRef,
    ModelInputs,
    Outcome,
    PixelArray,
)
from imgcls_beam.errors import ConfigError, ImageError, ModelError
from imgcls_beam.health import Health, find_health
from imgcls_beam.metrics import NAMESPACE
from imgcls_beam.model_options import (
    DEFAULT_MODEL,
    MODEL_FIELDS,
    Device,
    ModelOptions,
    to_model_options,
)
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions, ReadOptions
from imgcls_beam.predicting import BegunImages, begin_images, predict_begun
from imgcls_beam.preparing import (
    Preparer,
    draw_known,
    draw_probes,
    load_preparer,
    prepare_opened,
    read_unloaded,
)
from imgcls_beam.reading import read_images
from imgcls_beam.sandbox import box_pool, prepare_image
from imgcls_beam.scoring import ModelSource, Scoring
from imgcls_beam.shared_answers import Answers
from imgcls_beam.spec import ResponseElement, to_response

Example = bytes | Image.Image | ImageRef | EncodedImage | PixelArray | Failure
"""What the handler takes. A `Failure` of an earlier stage comes out as it is."""

BATCH_SIZE_OF: dict[Device, int] = {"auto": 16, "cpu": 16, "cuda": 64}
"""Images in a forward pass by default."""

_INFERENCE_ARGS = ("function_to_apply", "top_k")
_SIZES = ("min_batch_size", "max_batch_size")
_BATCHING = {*inspect.getfullargspec(ModelHandler.__init__).kwonlyargs, "env_vars"} - {
    "large_model"  # here it is called share_model_across_processes
}


class ImageClassificationModelHandler(ModelHandler[Example, PredictionResult, Classifier]):
    """Classifies images inside RunInference.

    Takes encoded images as `bytes`, opened ones as `PIL.Image`, or `ImageRef`s to read; gives a
    `PredictionResult` each, in order, whose `inference` is the task's response
    (`[{"label": …, "score": …}, …]`, best first), or a `Failure` where this one image could not be
    read, decoded or predicted. Text is refused: what might be a path or URL is never opened.
    """

    def __init__(
        self,
        model: str | ModelOptions = DEFAULT_MODEL,
        *,
        source: ModelSource | None = None,
        read: ReadOptions | None = None,
        decode: DecodeOptions | None = None,
        share_model_across_processes: bool = False,
        **keywords: Any,  # noqa: ANN401  of two kinds, see below
    ) -> None:
        """Checks the options; loads nothing.

        Args:
            model: hub id or folder in the Hugging Face layout, or the whole `ModelOptions`.
            source: the model, already pinned; else each worker asks the hub for itself.
            read: how `ImageRef`s are read.
            decode: limits for encoded images, and how they are prepared.
            share_model_across_processes: one model for all processes of a worker.
            **keywords: fields of `ModelOptions` (`top_k=3`), and what Beam's `ModelHandler` knows:
                `max_batch_duration_secs`, `model_copies`, `env_vars`, … All batches have one size,
                `batch_size`, because Beam's growing ones start again at 1 in each bundle; a
                `min_batch_size` or `max_batch_size` alone is taken for it.

        Raises:
            ConfigError: a name that neither knows, or a value that is not allowed.
        """
        check_names(keywords, (*MODEL_FIELDS, *sorted(_BATCHING)))
        batching = {name: keywords.pop(name) for name in _BATCHING if name in keywords}
        self._options = to_model_options(model, **keywords)
        sizes = _choose_batch_sizes(self._options, batching)
        super().__init__(large_model=share_model_across_processes, **(batching | sizes))
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
        asked = self._options
        how = (asked.device, asked.dtype, asked.engine, asked.threads)
        spec = ClassifierSpec(self._find_source(), preparer.affine, *how)
        draw = functools.partial(_draw_probes, preparer, spec.source)
        classifier = load_classifier(spec, draw, is_copy=self._has_copies)
        if not self._find_health(classifier).learn():
            problem = "a blank image and a picture have scores that are not finite"
            raise ModelError(f"{spec.source.model_id}: {problem}")
        return classifier

    def run_inference(
        self,
        batch: Sequence[Example],
        model: Classifier,
        inference_args: Mapping[str, Any] | None = None,
    ) -> list[PredictionResult]:
        """Classifies a batch, of any mix of the types in `Example`; one result each, in order.

        `inference_args` may hold `top_k` and `function_to_apply`, which override the handler's.

        Raises:
            TypeError: an example of another type.
        """
        return self._begin(batch, model, inference_args)()

    def _begin(
        self,
        batch: Sequence[Example],
        model: Classifier,
        inference_args: Mapping[str, Any] | None,
    ) -> Callable[[], list[PredictionResult]]:
        """Begins to classify a batch, and gives what does the rest; see `begin_images`."""
        prepared = self._prepare(batch)
        images = [each for each in prepared if isinstance(each, PixelArray)]
        scoring = self._to_scoring(inference_args)
        answers, health = self._find_answers(), self._find_health(model)
        begun = begin_images(images, model, scoring, health, answers)
        return functools.partial(self._end, batch, prepared, begun)

    def _end(
        self,
        batch: Sequence[Example],
        prepared: Sequence[PixelArray | Failure],
        begun: BegunImages,
    ) -> list[PredictionResult]:
        predicted, scoring = iter(predict_begun(begun)), begun.scoring
        outcomes = [
            dataclasses.replace(each, scoring=scoring)
            if isinstance(each, Failure)
            else next(predicted)
            for each in prepared
        ]
        return [
            PredictionResult(example, self._to_inference(outcome), scoring.model.display_name)
            for example, outcome in zip(batch, outcomes, strict=True)
        ]

    def validate_inference_args(self, inference_args: Mapping[str, Any] | None) -> None:
        """Refuses what the task does not know.

        Raises:
            ConfigError: another name than `top_k` and `function_to_apply`, or a value that is not
                allowed.
        """
        self._override(inference_args)

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

    def _find_answers(self) -> Answers | None:
        """Earlier answers, for images of the same bytes; None: each image is asked about."""
        return None

    def _to_inference(self, outcome: Outcome) -> list[ResponseElement] | Outcome:
        return outcome if isinstance(outcome, Failure) else to_response(outcome.labels)

    def _to_scoring(self, inference_args: Mapping[str, Any] | None) -> Scoring:
        asked = self._override(inference_args)
        applied, preprocess = asked.function_to_apply, self._decode.preprocess
        return Scoring(self._find_source(), asked.top_k, applied, preprocess)

    def _override(self, inference_args: Mapping[str, Any] | None) -> ModelOptions:
        args = dict(inference_args or {})
        check_names(args, _INFERENCE_ARGS)
        return dataclasses.replace(self._options, **args)

    def _find_health(self, model: Classifier) -> Health:
        size_px = model.describe().image_size_px
        return find_health(model, functools.partial(draw_known, self._find_preparer(), size_px))

    def _find_source(self) -> ModelSource:
        if self._source is None:
            asked = self._options
            self._source = resolve_model(asked.model, asked.revision, asked.weights)
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
        return list(box_pool().map(prepare, opened))


def _choose_batch_sizes(options: ModelOptions, batching: Mapping[str, Any]) -> dict[str, int]:
    """The least and the largest batch, which are one size unless both were given.

    Raises:
        ConfigError: two sizes that contradict each other.
    """
    given = {name: batching[name] for name in _SIZES if batching.get(name) is not None}
    for name, size in given.items():
        check_count(name, size)
        if options.batch_size not in (None, size):
            raise ConfigError(name, size, f"batch_size={options.batch_size} says something else")
    if len(given) == 2:
        return given
    size = next(iter(given.values()), options.batch_size or BATCH_SIZE_OF[options.device])
    return dict.fromkeys(_SIZES, size)


def _draw_probes(
    preparer: Preparer, source: ModelSource, size_px: tuple[int, int] | None
) -> list[ModelInputs]:
    """See `preparing.draw_probes`.

    Raises:
        ModelError: the model's own processor takes no picture of the size that its config names.
    """
    try:
        return draw_probes(preparer, size_px)
    except ImageError as error:
        problem = "its image processor takes no image of the size that its config names"
        raise ModelError(f"{source.model_id}: {problem} ({error.message})") from error


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
        if data := read_unloaded(example):
            return _prepare_example(data, preparer, decode)
        return prepare_opened(example, preparer, decode.preprocess)
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
