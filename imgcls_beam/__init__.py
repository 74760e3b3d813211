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
    from imgcls_beam.elements import EncodedImage, Failure, ImageRef, Prediction
    from imgcls_beam.errors import ConfigError, ImageError, ImgclsError, ModelError
    from imgcls_beam.handler import ImageClassificationModelHandler
    from imgcls_beam.options import ModelOptions
    from imgcls_beam.sinks import WriteJsonl, WriteParquet
    from imgcls_beam.spec import LabelScore, Parameters
    from imgcls_beam.transforms import (
        ClassifyImages,
        ClassifyImagesByModel,
        ListImages,
        PrepareImages,
        ReadImages,
    )

_HOME = {
    "ClassifyImages": "transforms",
    "ClassifyImagesByModel": "transforms",
    "ClassifyRows": "classify_rows",
    "ConfigError": "errors",
    "EncodedImage": "elements",
    "Failure": "elements",
    "ImageClassificationModelHandler": "handler",
    "ImageError": "errors",
    "ImageRef": "elements",
    "ImgclsError": "errors",
    "LabelScore": "spec",
    "ListImages": "transforms",
    "ModelError": "errors",
    "ModelOptions": "options",
    "Parameters": "spec",
    "Prediction": "elements",
    "PrepareImages": "transforms",
    "ReadImages": "transforms",
    "WriteJsonl": "sinks",
    "WriteParquet": "sinks",
}

__all__ = [
    "ClassifyImages",
    "ClassifyImagesByModel",
    "ClassifyRows",
    "ConfigError",
    "EncodedImage",
    "Failure",
    "ImageClassificationModelHandler",
    "ImageError",
    "ImageRef",
    "ImgclsError",
    "LabelScore",
    "ListImages",
    "ModelError",
    "ModelOptions",
    "Parameters",
    "Prediction",
    "PrepareImages",
    "ReadImages",
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
