"""The stages as PTransforms: wiring only, over plain functions of other modules.

::

    ListImages ─▶ ClassifyImages( ReadImages ─▶ PrepareImages ─▶ RunInference ) ─▶ sinks

Failures travel in the main stream: each stage passes on what an earlier one gave up. So there is
nothing to join and nothing to flatten, everything from reading to sink is one fused stage, and one
image in is one outcome out.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.typehints.decorators import no_annotations

from imgcls_beam.ahead import PrepareDoFn, ReadDoFn
from imgcls_beam.classifying import resolve_model
from imgcls_beam.elements import (
    EncodedImage,
    Failure,
    ImageRef,
    ModelSource,
    Outcome,
    PixelArray,
    Prediction,
)
from imgcls_beam.listing import list_images, uri_digest
from imgcls_beam.metrics import count_found, count_listed, count_outcome
from imgcls_beam.options import (
    DEFAULT_MODEL,
    DEFAULT_TOP_K,
    DecodeOptions,
    Device,
    Dtype,
    InputOptions,
    ModelOptions,
    ReadOptions,
)
from imgcls_beam.spec import FunctionToApply


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
class ListImages(beam.PTransform):
    """Files, folders, prefixes and globs → `ImageRef`, each URI once.

    Attributes:
        options: what to list.
    """

    options: InputOptions

    def expand(self, pbegin: beam.Pipeline) -> beam.PCollection:
        """Lists in one worker, then spreads the refs; the same shuffle drops duplicates."""
        return (
            pbegin
            | "Inputs" >> beam.Create([self.options])
            | "List" >> beam.FlatMap(list_images)
            | "KeyByUri" >> beam.Map(_key_by_uri)
            | "GroupByUri" >> beam.GroupByKey()
            | "DropDuplicates" >> beam.Map(_take_one)
        )


@dataclasses.dataclass(eq=False)
class ReadImages(beam.PTransform):
    """`ImageRef`, or a URI as text → `EncodedImage | Failure`.

    Attributes:
        options: limits and retries.
    """

    options: ReadOptions = ReadOptions()

    def expand(self, refs: beam.PCollection) -> beam.PCollection:
        """Reads in batches, one batch ahead of what consumes it."""
        read = beam.ParDo(ReadDoFn(self.options)).with_output_types(EncodedImage | Failure)
        return refs | "Read" >> read


@dataclasses.dataclass(eq=False)
class PrepareImages(beam.PTransform):
    """`EncodedImage | Failure` → `PixelArray | Failure`.

    Attributes:
        source: the model to whose geometry the images are brought.
        options: limits of decoding.
    """

    source: ModelSource
    options: DecodeOptions = DecodeOptions()

    def expand(self, images: beam.PCollection) -> beam.PCollection:
        """Decodes on all cores, ahead of the model."""
        prepare = beam.ParDo(PrepareDoFn(self.source, self.options))
        return images | "Prepare" >> prepare.with_output_types(PixelArray | Failure)


@dataclasses.dataclass(eq=False)
class ClassifyImages(beam.PTransform):
    """`ImageRef`, or a URI as text → `Classified`.

    Attributes are those of `ModelOptions`, and:
        source: the model, already pinned; else it is pinned while the graph is built.
        read: how objects are read.
        decode: limits of decoding.
    """

    model: str = DEFAULT_MODEL
    revision: str | None = None
    top_k: int | None = DEFAULT_TOP_K
    function_to_apply: FunctionToApply | None = None
    device: Device = "auto"
    dtype: Dtype = "auto"
    batch_size: int | None = None
    source: ModelSource | None = None
    read: ReadOptions = ReadOptions()
    decode: DecodeOptions = DecodeOptions()

    def __post_init__(self) -> None:
        """Checks the options where the pipeline is written.

        Raises:
            ConfigError: a value that is not allowed.
        """
        self._options = ModelOptions(
            self.model,
            self.revision,
            self.top_k,
            self.function_to_apply,
            self.device,
            self.dtype,
            self.batch_size,
        )

    # Beam has no type hint for several outputs, and warns of this one.
    @no_annotations  # type: ignore[untyped-decorator]
    def expand(self, refs: beam.PCollection) -> Classified:
        """Reads, prepares and predicts in one fused stage."""
        from apache_beam.ml.inference.base import RunInference

        from imgcls_beam.handler import make_outcome_handler

        source = self.source or resolve_model(self.model, self.revision)
        outcomes = (
            refs
            | "ReadImages" >> ReadImages(self.read)
            | "PrepareImages" >> PrepareImages(source, self.decode)
            | "PredictImages" >> RunInference(make_outcome_handler(self._options, source))
            | "Outcome" >> beam.Map(_to_outcome)
        )
        predictions = outcomes | "Predictions" >> beam.Filter(_is_prediction)
        failures = outcomes | "Failures" >> beam.Filter(_is_failure)
        return Classified(outcomes, predictions, failures)


def _key_by_uri(ref: ImageRef) -> tuple[bytes, ImageRef]:
    count_found()
    return uri_digest(ref.uri), ref


def _take_one(group: tuple[bytes, Iterable[ImageRef]]) -> ImageRef:
    refs = list(group[1])
    count_listed(len(refs))
    return refs[0]


def _is_prediction(outcome: Outcome) -> bool:
    return isinstance(outcome, Prediction)


def _is_failure(outcome: Outcome) -> bool:
    return isinstance(outcome, Failure)


def _to_outcome(result: Any) -> Outcome:  # noqa: ANN401  PredictionResult, whose import is heavy
    outcome: Outcome = result.inference
    count_outcome(outcome, reached_model=not isinstance(result.example, Failure))
    return outcome
