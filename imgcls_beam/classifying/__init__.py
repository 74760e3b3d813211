"""Pixels → logits.

`Classifier` is what the pipeline knows of a model, `ClassifierSpec` what travels to a worker to
build one. Importing this package imports neither torch nor transformers.
"""

from imgcls_beam.classifying.protocol import (
    Best,
    Classifier,
    ClassifierCard,
    ClassifierSpec,
    DrawProbes,
    ForwardPass,
    Logits,
    RankedPass,
    RankSpec,
    load_classifier,
)

__all__ = [
    "Best",
    "Classifier",
    "ClassifierCard",
    "ClassifierSpec",
    "DrawProbes",
    "ForwardPass",
    "Logits",
    "RankSpec",
    "RankedPass",
    "load_classifier",
]
