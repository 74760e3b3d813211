"""A model's name → its files on this machine, pinned to one content.

::

    resolve_model("owner/name", "main") ─▶ ModelSource ─▶ fetch_model ─▶ a folder here
    at launch, once                        travels        on each machine, once
"""

from imgcls_beam.models.claims import MAX_LABELS, find_claim, find_large_size
from imgcls_beam.models.licences import find_licence
from imgcls_beam.models.model_files import measure_weights
from imgcls_beam.models.outlines import Outline, fetched_outline
from imgcls_beam.models.resolving import fetch_model, resolve_model

__all__ = [
    "MAX_LABELS",
    "Outline",
    "fetch_model",
    "fetched_outline",
    "find_claim",
    "find_large_size",
    "find_licence",
    "measure_weights",
    "resolve_model",
]
