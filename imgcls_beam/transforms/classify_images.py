"""`ReadImages`, `PrepareImages`, `ClassifyImages`: from refs to outcomes, in one fused stage."""

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import apache_beam as beam
from apache_beam.typehints.decorators import no_annotations

from imgcls_beam.checks import check_type
from imgcls_beam.elements import EncodedImage, Failure, Outcome, PixelArray, Prediction
from imgcls_beam.errors import ConfigError
from imgcls_beam.model_options import (
    DEFAULT_MODEL,
    ModelKeywords,
    ModelOptions,
    to_model_options,
)
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions, Dedupe, ReadOptions
from imgcls_beam.prefetch import PrepareDoFn, ReadDoFn
from imgcls_beam.preparing import Prepared
from imgcls_beam.scoring import ModelSource, Scoring
from imgcls_beam.upstream import Classifies


class Classified(NamedTuple):
    """What `ClassifyImages` gives.

    Attributes:
        outcomes: every image once: `Prediction | Failure`.
        predictions: the `Prediction`s among them.
        failures: the `Failure`s among them.
    """

    outcomes: beam.PCollection
    predictions: beam.PCollection
    failures: beam.PCollection


@dataclasses.dataclass(eq=False)
class ReadImages(beam.PTransform):
    """`ImageRef`, a URI as text, or a `Failure` of listing → `EncodedImage | Failure`.

    An `EncodedImage` is read already, and passes if it is within the limit.

    Attributes:
        options: limits and retries.
    """

    options: ReadOptions = ReadOptions()

    def __post_init__(self) -> None:
        """Raises `ConfigError` for something else than `ReadOptions`."""
        super().__init__()
        check_type("options", self.options, ReadOptions, "ReadOptions")

    def expand(self, refs: beam.PCollection) -> beam.PCollection:
        """Reads in batches; the next one is read while the last is consumed."""
        read = beam.ParDo(ReadDoFn(self.options)).with_output_types(EncodedImage | Failure)
        return refs | "Read" >> read


@dataclasses.dataclass(eq=False)
class PrepareImages(beam.PTransform):
    """`EncodedImage | Failure` → `PixelArray | Failure`.

    Attributes:
        model: the model to whose geometry the images are brought: its name, options, or the pinned
            model itself.
        options: limits of decoding, and how images are prepared.
    """

    model: str | ModelOptions | ModelSource
    options: DecodeOptions = DecodeOptions()

    def __post_init__(self) -> None:
        """Raises `ConfigError` for something else than a model, or than `DecodeOptions`."""
        super().__init__()
        kinds, allowed = (str, ModelOptions, ModelSource), "its name, ModelOptions or ModelSource"
        check_type("model", self.model, kinds, allowed)
        check_type("options", self.options, DecodeOptions, "DecodeOptions")

    def expand(self, images: beam.PCollection) -> beam.PCollection:
        """Decodes on all cores, before the model asks for it."""
        model = self.model
        source = model if isinstance(model, ModelSource) else _resolve(to_model_options(model))
        take = beam.Map(operator.itemgetter(0)).with_output_types(PixelArray | Failure)
        return images | "Prepare" >> _prepare_for([source], self.options) | "Take" >> take


class ClassifyImages(Classifies, beam.PTransform):
    """`ImageRef`, a URI as text, `EncodedImage`, or a `Failure` of listing → `Classified`.

    The input may be unbounded and windowed; outcomes keep windows and timestamps. Resource hints
    on this transform lie on one fused stage.
    """

    def __init__(
        self,
        model: str | ModelOptions = DEFAULT_MODEL,
        *,
        source: ModelSource | None = None,
        read: ReadOptions | None = None,
        decode: DecodeOptions | None = None,
        **keywords: Unpack[ModelKeywords],
    ) -> None:
        """Checks the options where the pipeline is written.

        Args:
            model: its name, or the whole options.
            source: the model, already pinned; else it is pinned while the graph is built.
            read: how objects are read.
            decode: limits of decoding, and how images are prepared.
            **keywords: fields of `ModelOptions`: `ClassifyImages("owner/model", top_k=3)`.

        Raises:
            ConfigError: a name or a value that is not allowed.
        """
        super().__init__()
        self.options = to_model_options(model, **keywords)
        self.source = source
        self.read = read or ReadOptions()
        self.decode = decode or DecodeOptions()

    # Beam has no type hint for several outputs, and warns of this one.
    @no_annotations  # type: ignore[untyped-decorator]
    def expand(self, refs: beam.PCollection) -> Classified:
        """Reads, prepares and predicts in one fused stage."""
        source = self.source or _resolve(self.options)
        self.scoring = to_scoring(self.options, source, self.decode)
        images = (
            refs
            | "ReadImages" >> ReadImages(self.read)
            | "PrepareImages" >> _prepare_for([source], self.decode, self.read.dedupe)
        )
        return _predict(images, 0, _make_handler(self.options, source, self.read, self.decode))


@dataclasses.dataclass(eq=False)
class ClassifyImagesByModel(Classifies, beam.PTransform):
    """What `ClassifyImages` takes → a `Classified` for each of several models, in their order.

    Each image is read and decoded once. All models are held by the same workers; an image waits
    for the slowest of them. A file that cannot be read or decoded is a failure of each model.

    Attributes:
        models: each with its own parameters, device, dtype and batch size. The same model may
            be among them twice: it is loaded once.
        read: how objects are read.
        decode: limits of decoding, and how images are prepared.
        sources: the models, already pinned, in the same order; else they are pinned while the graph
            is built.
    """

    models: Sequence[ModelOptions]
    read: ReadOptions = ReadOptions()
    decode: DecodeOptions = DecodeOptions()
    sources: Sequence[ModelSource] | None = None

    def __post_init__(self) -> None:
        """Raises `ConfigError` for no model, or one that is no `ModelOptions`."""
        super().__init__()
        self.models = tuple(self.models)
        if not self.models or not all(isinstance(each, ModelOptions) for each in self.models):
            raise ConfigError("models", self.models, "give at least one ModelOptions")

    @no_annotations  # type: ignore[untyped-decorator]
    def expand(self, refs: beam.PCollection) -> tuple[Classified, ...]:
        """Reads and prepares once, predicts side by side, in one fused stage."""
        sources = list(self.sources or map(_resolve, self.models))
        images = (
            refs
            | "ReadImages" >> ReadImages(self.read)
            | "PrepareImages" >> _prepare_for(sources, self.decode, self.read.dedupe)
        )
        return tuple(
            images | f"Model{index}" >> _PredictOne(index, options, source, self.read, self.decode)
            for index, (options, source) in enumerate(zip(self.models, sources, strict=True))
        )


@dataclasses.dataclass(eq=False)
class _PredictOne(Classifies, beam.PTransform):
    """`Prepared` → `Classified` of the model of that index."""

    index: int
    options: ModelOptions
    source: ModelSource
    read: ReadOptions
    decode: DecodeOptions

    def __post_init__(self) -> None:
        super().__init__()

    @no_annotations  # type: ignore[untyped-decorator]
    def expand(self, prepared: beam.PCollection) -> Classified:
        self.scoring = to_scoring(self.options, self.source, self.decode)
        handler = _make_handler(self.options, self.source, self.read, self.decode)
        return _predict(prepared, self.index, handler)


def to_scoring(options: ModelOptions, source: ModelSource, decode: DecodeOptions) -> Scoring:
    """What a model is asked by these options, of images that are prepared by those."""
    return Scoring(source, options.top_k, options.function_to_apply, decode.preprocess)


def _resolve(options: ModelOptions) -> ModelSource:
    return resolve_model(options.model, options.revision, options.weights)


def _prepare_for(
    sources: Sequence[ModelSource], decode: DecodeOptions, dedupe: Dedupe = "on"
) -> beam.PTransform:
    return beam.ParDo(PrepareDoFn(sources, decode, dedupe)).with_output_types(Prepared)


def _make_handler(
    options: ModelOptions, source: ModelSource, read: ReadOptions, decode: DecodeOptions
) -> Any:  # noqa: ANN401  Beam's class, whose import is heavy
    """The handler of a pipeline.

    Beam gives a batch one time, the end of its window, so each image's own goes with it as its key.
    """
    from apache_beam.ml.inference.base import KeyedModelHandler

    from imgcls_beam.async_handler import AsyncOutcomeHandler

    return KeyedModelHandler(AsyncOutcomeHandler(options, source=source, read=read, decode=decode))


def _predict(prepared: beam.PCollection, index: int, handler: Any) -> Classified:  # noqa: ANN401
    """Predicts what was prepared for the model of that index."""
    from apache_beam.ml.inference.base import RunInference

    from imgcls_beam.async_handler import TakeOutcomesDoFn

    take = beam.ParDo(TakeOutcomesDoFn(is_first_model=index == 0)).with_output_types(Outcome)
    outcomes = (
        prepared
        | "Take" >> beam.Map(_take_with_time, index)
        | "PredictImages" >> RunInference(handler)
        | "Outcome" >> take
    )
    choose = beam.Filter(_is_prediction).with_output_types(Prediction)
    refuse = beam.Filter(_is_failure).with_output_types(Failure)
    return Classified(outcomes, outcomes | "Predictions" >> choose, outcomes | "Failures" >> refuse)


def _is_prediction(outcome: Outcome) -> bool:
    return isinstance(outcome, Prediction)


def _is_failure(outcome: Outcome) -> bool:
    return isinstance(outcome, Failure)


def _take_with_time(
    prepared: Prepared,
    index: int,
    timestamp: Any = beam.DoFn.TimestampParam,  # noqa: ANN401  Beam's parameter
) -> tuple[Any, PixelArray | Failure]:
    return timestamp, prepared[index]
