"""What the pipeline knows of a model, of which a process holds one."""

import dataclasses
import datetime
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from imgcls_beam.elements import ModelInputs
from imgcls_beam.model_options import Device, Dtype, Engine
from imgcls_beam.scoring import ChannelAffine, EngineChoice, ModelSource
from imgcls_beam.spec import FunctionToApply

Logits = npt.NDArray[np.float32]

DrawProbes = Callable[[tuple[int, int] | None], Sequence[ModelInputs]]
"""Inputs of a few pictures, of one shape; is told the (height, width) that a model's config names.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class ClassifierSpec:
    """What a worker needs to build a model. Light: it travels in the pipeline graph.

    Attributes:
        source: the model, pinned.
        affine: the arithmetic between uint8 pixels and the model; None where pixels are ready.
        device: `auto` takes CUDA where there is one.
        dtype: of the weights; `auto` is float32 on the CPU and the checkpoint's own on CUDA.
        engine: what runs it; `auto` takes the fastest that gives the same scores.
        threads: cores that it uses on the CPU; None: this process's share of the machine's.
    """

    source: ModelSource
    affine: ChannelAffine | None
    device: Device = "auto"
    dtype: Dtype = "auto"
    engine: Engine = "auto"
    threads: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ClassifierCard:
    """What is worth knowing of a loaded model; small and picklable.

    Attributes:
        labels: the name of each class, by class index.
        function_to_apply: the activation that the model's own config asks for.
        device: where it runs, e.g. `cpu`, `cuda:0`.
        dtype: of its weights, e.g. `float32`.
        size_bytes: of its weights.
        image_size_px: (height, width) of the images that its config names; None where it names
            none. Its image processor may make other sizes of them.
        engine: what runs it, and why; None where that is not known.
        ranks: whether its device ranks, see `Classifier.rank`.
    """

    labels: tuple[str, ...]
    function_to_apply: FunctionToApply
    device: str
    dtype: str
    size_bytes: int
    image_size_px: tuple[int, int] | None = None
    engine: EngineChoice | None = None
    ranks: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ForwardPass:
    """What one forward pass gave.

    Attributes:
        logits: float32 (N, C), whatever the model runs in; not checked for NaN.
        elapsed_ms: wall time inside the model: inputs to its device, their scale and shift, the
            forward pass, logits back to the host. Not the stacking of images, the wait for other
            threads' passes, or what a model does once, before its first pass. On a GPU it is the
            time of the device, whose copies to it run beside the pass before.
        finished_at: UTC.
        engine: what ran it; None for the one that the model's card names.
    """

    logits: Logits
    elapsed_ms: float
    finished_at: datetime.datetime = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC)
    )
    engine: EngineChoice | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RankSpec:
    """What a device is to make of the logits of a batch.

    Attributes:
        function_to_apply: the activation, for all images.
        top_k: the most labels that one of the images wants.
        keeps_logits: whether the logits are wanted too.
    """

    function_to_apply: FunctionToApply
    top_k: int
    keeps_logits: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Best:
    """The best classes of one image.

    Attributes:
        classes: best first; ties are in the order of their index. As many as were wanted, or all.
        scores: of each, a float32 number.
        margin: best score minus second best; None where there is one class.
        wanted: what they were made for.
    """

    classes: tuple[int, ...]
    scores: tuple[float, ...]
    margin: float | None
    wanted: RankSpec


@dataclasses.dataclass(frozen=True, slots=True)
class RankedPass:
    """What one forward pass gave whose device has ranked.

    Attributes:
        best: of each image. None where the device cannot be sure that the host would give the same
            order, or a score is not finite; the image's logits then say more.
        logits: of each image, float32 (C,); None where they are not wanted.
        elapsed_ms: see `ForwardPass`.
        finished_at: UTC.
        engine: what ran it; None for the one that the model's card names.
    """

    best: Sequence[Best | None]
    logits: Sequence[Logits | None]
    elapsed_ms: float
    finished_at: datetime.datetime = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC)
    )
    engine: EngineChoice | None = None


class Classifier(Protocol):
    """A loaded model. Methods only, so that a proxy to another process can stand for it."""

    def describe(self) -> ClassifierCard:
        """What this model is."""

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
        """One forward pass; safe to call from many threads.

        Args:
            batch: N ≥ 1 images whose inputs have the same names and shapes; `pixel_values` is uint8
                (H, W, 3) where the model was loaded with a `ChannelAffine`.
        """

    def rank(self, batch: Sequence[ModelInputs], wanted: RankSpec) -> RankedPass:
        """One forward pass whose logits are ranked where they are; safe to call from many threads.

        Worth it where the card says that the device ranks: the host is spared the work, and most
        of what is copied. Classes and their order are those of `ranking`, scores within 1e-7.

        Args:
            batch: as for `classify`.
            wanted: what is to be made of the logits.
        """


_LOADED: weakref.WeakValueDictionary[ClassifierSpec, Classifier] = weakref.WeakValueDictionary()
_LOADING = threading.Lock()


def load_classifier(
    spec: ClassifierSpec, draw_probes: DrawProbes, *, is_copy: bool = False
) -> Classifier:
    """Loads a model, or gives back the one that this process already holds.

    The process forgets a model when nobody holds it any more. A copy is loaded in any case, for the
    caller alone.

    Args:
        spec: which model, and on what.
        draw_probes: pictures that the model is asked about, before the first image: which of its
            weights a prediction reads, and whether a faster way to run it says the same.
        is_copy: whether to load another one.

    Raises:
        ModelError: it cannot be loaded, or would predict at random.
    """
    with _LOADING:
        if is_copy:
            return _load(spec, draw_probes)
        classifier = _LOADED.get(spec)
        if classifier is None:
            classifier = _load(spec, draw_probes)
            _LOADED[spec] = classifier
        return classifier


def _load(spec: ClassifierSpec, draw_probes: DrawProbes) -> Classifier:
    from imgcls_beam.classifying.known import load_known

    if (known := load_known(spec)) is not None:
        return known
    from imgcls_beam.classifying.huggingface import HuggingFaceClassifier

    return HuggingFaceClassifier(spec, draw_probes)
