"""A model's name → its files on this machine, pinned to one content.

::

    resolve_model("owner/name", "main") ─▶ ModelSource ─▶ fetch_model ─▶ a folder here
    at launch, once                        travels        on each machine, once
"""

from imgcls_beam.models.licences import find_licence
from imgcls_beam.models.resolving import fetch_model, resolve_model

__all__ = ["fetch_model", "find_licence", "resolve_model"]
