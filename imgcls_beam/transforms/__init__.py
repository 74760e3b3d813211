"""The stages as PTransforms: wiring only, over plain functions of other modules.

::

    ListImages ─▶ ClassifyImages( ReadImages ─▶ PrepareImages ─▶ RunInference ) ─▶ sinks

Failures travel in the main stream: each stage passes on what an earlier one gave up. So there is
nothing to join and nothing to flatten, everything from reading to sink is one fused stage, and one
image in is one outcome out.
"""

from imgcls_beam.transforms.classify_images import (
    Classified,
    ClassifyImages,
    ClassifyImagesByModel,
    PrepareImages,
    ReadImages,
    to_scoring,
)
from imgcls_beam.transforms.list_images import (
    LISTED,
    PASSED_OVER,
    ListImages,
    SpreadImages,
    list_counted,
)

__all__ = [
    "LISTED",
    "PASSED_OVER",
    "Classified",
    "ClassifyImages",
    "ClassifyImagesByModel",
    "ListImages",
    "PrepareImages",
    "ReadImages",
    "SpreadImages",
    "list_counted",
    "to_scoring",
]
