"""The stages as PTransforms: wiring only, over plain functions of other modules.

::

    ListImages ─▶ ClassifyImages( ReadImages ─▶ PrepareImages ─▶ RunInference ) ─▶ sinks

Failures travel in the main stream: each stage passes on what an earlier one gave up. So there is
nothing to join and nothing to flatten, everything from reading to sink is one fused stage, and one
image in is one outcome out.
"""

import collections
import dataclasses
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.transforms.window import TimestampedValue
from apache_beam.typehints.decorators import no_annotations

from imgcls_beam.ahead import Prepared, PrepareDoFn, ReadDoFn
from imgcls_beam.elements import (
    EncodedImage,
    Failure,
    ImageRef,
    ModelSource,
    Outcome,
    PixelArray,
    Prediction,
    TableCell,
)
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing import list_distinct, list_images, spool, uri_digest
from imgcls_beam.metrics import count_found, count_listed, count_outcome
from imgcls_beam.models import resolve_model
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

_CELLS_TOGETHER = 1024
"""Cells of a Parquet file that one worker reads: to begin in the middle of a row group costs
decoding all before it."""


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
    """Folders, buckets, manifests and requests → `ImageRef | Failure`, each URI once.

    Attributes:
        options: what to list.
        is_spread: whether the refs are spread over workers. A shuffle does that, and drops the
            duplicates; a runner that keeps its shuffle in memory holds every ref meanwhile.
            Without it one worker lists, drops duplicates on its disk, and goes on with all of them.
    """

    options: InputOptions
    is_spread: bool = True

    def expand(self, pbegin: beam.Pipeline) -> beam.PCollection:
        """Lists in one worker."""
        inputs = pbegin | "Inputs" >> beam.Create([self.options])
        if not self.is_spread:
            return inputs | "ListOnce" >> beam.FlatMap(_list_once)
        return inputs | "List" >> beam.FlatMap(list_images) | "Spread" >> SpreadImages()


@dataclasses.dataclass(eq=False)
class SpreadImages(beam.PTransform):
    """`ImageRef | Failure`, spread over the workers, each URI once.

    Cells of a table stay together: whoever reads one has read its neighbours.
    """

    def expand(self, listed: beam.PCollection) -> beam.PCollection:
        """Groups by URI, or by a block of cells."""
        return (
            listed
            | "Key" >> beam.Map(_key)
            | "Group" >> beam.GroupByKey()
            | "DropDuplicates" >> beam.FlatMap(_take_distinct)
        )


@dataclasses.dataclass(eq=False)
class ReadImages(beam.PTransform):
    """`ImageRef`, a URI as text, or a `Failure` of listing → `EncodedImage | Failure`.

    An `EncodedImage` is read already, and passes if it is within the limit.

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
        take = beam.Map(operator.itemgetter(0)).with_output_types(PixelArray | Failure)
        return images | "Prepare" >> _prepare_for([self.source], self.options) | "Take" >> take


@dataclasses.dataclass(eq=False)
class ClassifyImages(beam.PTransform):
    """`ImageRef`, a URI as text, `EncodedImage`, or a `Failure` of listing → `Classified`.

    The input may be unbounded and windowed; outcomes keep windows and timestamps. Resource hints
    on this transform lie on one fused stage.

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
        names = [field.name for field in dataclasses.fields(ModelOptions)]
        self._options = ModelOptions(**{name: getattr(self, name) for name in names})

    # Beam has no type hint for several outputs, and warns of this one.
    @no_annotations  # type: ignore[untyped-decorator]
    def expand(self, refs: beam.PCollection) -> Classified:
        """Reads, prepares and predicts in one fused stage."""
        source = self.source or resolve_model(self.model, self.revision)
        images = (
            refs
            | "ReadImages" >> ReadImages(self.read)
            | "PrepareImages" >> _prepare_for([source], self.decode)
        )
        return _predict(images, 0, self._options, source)


@dataclasses.dataclass(eq=False)
class ClassifyImagesByModel(beam.PTransform):
    """What `ClassifyImages` takes → a `Classified` for each of several models, in their order.

    Each image is read and decoded once. All models are held by the same workers; an image waits
    for the slowest of them. A file that cannot be read or decoded is a failure of each model.

    Attributes:
        models: each with its own parameters, device, dtype and batch size. The same model may
            stand among them twice: it is loaded once.
        read: how objects are read.
        decode: limits of decoding.
    """

    models: Sequence[ModelOptions]
    read: ReadOptions = ReadOptions()
    decode: DecodeOptions = DecodeOptions()

    def __post_init__(self) -> None:
        """Checks the options where the pipeline is written.

        Raises:
            ConfigError: there is no model, or what stands for one is no `ModelOptions`.
        """
        super().__init__()
        self.models = tuple(self.models)
        if not self.models or not all(isinstance(each, ModelOptions) for each in self.models):
            raise ConfigError("models", self.models, "give at least one ModelOptions")

    @no_annotations  # type: ignore[untyped-decorator]
    def expand(self, refs: beam.PCollection) -> tuple[Classified, ...]:
        """Reads and prepares once, predicts side by side, in one fused stage."""
        sources = [resolve_model(each.model, each.revision) for each in self.models]
        images = (
            refs
            | "ReadImages" >> ReadImages(self.read)
            | "PrepareImages" >> _prepare_for(sources, self.decode)
        )
        return tuple(
            images | f"Model{index}" >> _PredictOne(index, options, source)
            for index, (options, source) in enumerate(zip(self.models, sources, strict=True))
        )


@dataclasses.dataclass(eq=False)
class _PredictOne(beam.PTransform):
    """`Prepared` → `Classified` of the model of that index."""

    index: int
    options: ModelOptions
    source: ModelSource

    def __post_init__(self) -> None:
        super().__init__()

    @no_annotations  # type: ignore[untyped-decorator]
    def expand(self, prepared: beam.PCollection) -> Classified:
        return _predict(prepared, self.index, self.options, self.source)


def _prepare_for(sources: Sequence[ModelSource], decode: DecodeOptions) -> beam.PTransform:
    return beam.ParDo(PrepareDoFn(sources, decode)).with_output_types(Prepared)


def _predict(
    prepared: beam.PCollection, index: int, options: ModelOptions, source: ModelSource
) -> Classified:
    """Predicts what was prepared for the model of that index.

    Beam gives a batch one time, the end of its window, so each image's own goes with it as its key.
    """
    from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

    from imgcls_beam.handler import make_outcome_handler

    handler = KeyedModelHandler(make_outcome_handler(options, source))
    outcomes = (
        prepared
        | "Take" >> beam.Map(_take_with_time, index)
        | "PredictImages" >> RunInference(handler)
        | "Outcome" >> beam.MapTuple(_to_outcome).with_output_types(Outcome)
    )
    choose = beam.Filter(_is_prediction).with_output_types(Prediction)
    refuse = beam.Filter(_is_failure).with_output_types(Failure)
    return Classified(outcomes, outcomes | "Predictions" >> choose, outcomes | "Failures" >> refuse)


def _list_once(options: InputOptions) -> Iterator[ImageRef | Failure]:
    """Lists everything before it gives the first: so a terminal can say how much is left."""
    yield from spool(map(_count_distinct, list_distinct(options)))


def _count_distinct(listed: ImageRef | Failure) -> ImageRef | Failure:
    count_found()
    count_listed(1)
    return listed


def _key(listed: ImageRef | Failure) -> tuple[bytes, ImageRef | Failure]:
    count_found()
    ref = listed.ref if isinstance(listed, Failure) else listed
    if isinstance(ref.place, TableCell):
        block = (ref.place.row_group, ref.place.row // _CELLS_TOGETHER)
        return uri_digest(f"{ref.object_uri}::{block}"), listed
    return uri_digest(ref.uri), listed


def _take_distinct(
    group: tuple[bytes, Iterable[ImageRef | Failure]],
) -> Iterator[ImageRef | Failure]:
    found: dict[str, ImageRef | Failure] = {}
    copies: collections.Counter[str] = collections.Counter()
    for listed in group[1]:
        ref = listed.ref if isinstance(listed, Failure) else listed
        found.setdefault(ref.uri, listed)
        copies[ref.uri] += 1
    for uri in sorted(found, key=lambda uri: _row_of(found[uri])):
        count_listed(copies[uri])
        yield found[uri]


def _row_of(listed: ImageRef | Failure) -> int:
    place = listed.place if isinstance(listed, ImageRef) else None
    return place.row if isinstance(place, TableCell) else 0


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


def _to_outcome(
    timestamp: Any,  # noqa: ANN401
    result: Any,  # noqa: ANN401  PredictionResult, whose import is heavy
) -> TimestampedValue:
    outcome: Outcome = result.inference
    count_outcome(outcome, reached_model=not isinstance(result.example, Failure))
    return TimestampedValue(outcome, timestamp)
