"""Batch image classification on Apache Beam: the Hugging Face task over whole buckets.

::

    images | RunInference(ImageClassificationModelHandler("google/vit-base-patch16-224", top_k=3))
    refs | ClassifyImages(model="google/vit-base-patch16-224", top_k=3)

Importing this package imports neither torch nor transformers: the names below are loaded when they
are used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgcls_beam.classify_rows import ClassifyRows
    from imgcls_beam.classifying import (
        Best,
        Classifier,
        ClassifierCard,
        ForwardPass,
        RankedPass,
        RankSpec,
    )
    from imgcls_beam.elements import (
        ByteSpan,
        EncodedImage,
        Failure,
        ImageFacts,
        ImageRef,
        Outcome,
        PixelArray,
        Prediction,
        RequestLine,
        Skipped,
        TableCell,
    )
    from imgcls_beam.errors import (
        ConfigError,
        FailureCode,
        GoesOnError,
        ImageError,
        ImgclsError,
        ModelError,
        PublishError,
        RowsGoneError,
        RunExistsError,
        SickModelError,
        Stage,
        StoreError,
    )
    from imgcls_beam.handler import ImageClassificationModelHandler
    from imgcls_beam.model_options import ModelKeywords, ModelOptions
    from imgcls_beam.options import (
        DecodeOptions,
        InputOptions,
        ManifestOptions,
        OutputOptions,
        ReadOptions,
    )
    from imgcls_beam.scoring import (
        AppliedParameters,
        EngineChoice,
        Execution,
        ModelSource,
        SandboxState,
        Scoring,
    )
    from imgcls_beam.sinks import (
        Base,
        JsonlFile,
        JsonlSession,
        RecordedEngine,
        RecordedFile,
        RecordedModel,
        RecordedPublication,
        RunPaths,
        RunRecord,
        Session,
        WriteJsonl,
        WriteParquet,
    )
    from imgcls_beam.spec import FunctionToApply, LabelScore, Parameters, ResponseElement, SpecError
    from imgcls_beam.stores import FileState, Folder
    from imgcls_beam.transforms import (
        Classified,
        ClassifyImages,
        ClassifyImagesByModel,
        ListImages,
        PrepareImages,
        ReadImages,
        SpreadImages,
    )

_NAMES = {
    "classify_rows": "ClassifyRows",
    "classifying": "Best Classifier ClassifierCard ForwardPass RankSpec RankedPass",
    "elements": (
        "ByteSpan EncodedImage Failure ImageFacts ImageRef Outcome PixelArray "
        "Prediction RequestLine Skipped TableCell"
    ),
    "errors": (
        "ConfigError FailureCode GoesOnError ImageError ImgclsError ModelError PublishError "
        "RowsGoneError RunExistsError SickModelError Stage StoreError"
    ),
    "handler": "ImageClassificationModelHandler",
    "model_options": "ModelKeywords ModelOptions",
    "options": "DecodeOptions InputOptions ManifestOptions OutputOptions ReadOptions",
    "scoring": "AppliedParameters EngineChoice Execution ModelSource SandboxState Scoring",
    "sinks": (
        "Base JsonlFile JsonlSession RecordedEngine RecordedFile RecordedModel RecordedPublication "
        "RunPaths RunRecord Session WriteJsonl WriteParquet"
    ),
    "spec": "FunctionToApply LabelScore Parameters ResponseElement SpecError",
    "stores": "FileState Folder",
    "transforms": (
        "Classified ClassifyImages ClassifyImagesByModel ListImages PrepareImages ReadImages "
        "SpreadImages"
    ),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "AppliedParameters",
    "Base",
    "Best",
    "ByteSpan",
    "Classified",
    "Classifier",
    "ClassifierCard",
    "ClassifyImages",
    "ClassifyImagesByModel",
    "ClassifyRows",
    "ConfigError",
    "DecodeOptions",
    "EncodedImage",
    "EngineChoice",
    "Execution",
    "Failure",
    "FailureCode",
    "FileState",
    "Folder",
    "ForwardPass",
    "FunctionToApply",
    "GoesOnError",
    "ImageClassificationModelHandler",
    "ImageError",
    "ImageFacts",
    "ImageRef",
    "ImgclsError",
    "InputOptions",
    "JsonlFile",
    "JsonlSession",
    "LabelScore",
    "ListImages",
    "ManifestOptions",
    "ModelError",
    "ModelKeywords",
    "ModelOptions",
    "ModelSource",
    "Outcome",
    "OutputOptions",
    "Parameters",
    "PixelArray",
    "Prediction",
    "PrepareImages",
    "PublishError",
    "RankSpec",
    "RankedPass",
    "ReadImages",
    "ReadOptions",
    "RecordedEngine",
    "RecordedFile",
    "RecordedModel",
    "RecordedPublication",
    "RequestLine",
    "ResponseElement",
    "RowsGoneError",
    "RunExistsError",
    "RunPaths",
    "RunRecord",
    "SandboxState",
    "Scoring",
    "Session",
    "SickModelError",
    "Skipped",
    "SpecError",
    "SpreadImages",
    "Stage",
    "StoreError",
    "TableCell",
    "WriteJsonl",
    "WriteParquet",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401  PEP 562
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
