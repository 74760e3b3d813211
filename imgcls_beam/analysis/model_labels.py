"""All labels of a run's model, by class index: what rows do not say, as each has its best ones."""

import contextlib
import os
from typing import Any

from imgcls_beam.errors import ImgclsError
from imgcls_beam.json_bounds import MAX_BYTES, load_bounded
from imgcls_beam.models import MAX_LABELS, hub
from imgcls_beam.sinks import RecordedModel
from imgcls_beam.stores import open_folder

_CONFIG = "config.json"
_UNNAMED = 2
"""Classes of a config that names none and gives no number, as transformers' default is."""


def read_model_labels(model: RecordedModel) -> tuple[str, ...] | None:
    """The labels as the model's config.json names them; None where it cannot be had.

    A hub model's is taken at the commit of the run, from the hub's cache where it is there.
    """
    with contextlib.suppress(ImgclsError, OSError, ValueError, AttributeError):
        return _name_labels(load_bounded(_read_config(model)))
    return None


def _read_config(model: RecordedModel) -> bytes:
    if os.path.isdir(model.id) or "://" in model.id:
        with open_folder("model", model.id).open_existing(_CONFIG) as source:
            return source.read(MAX_BYTES + 1)
    return (hub.download(model.id, model.revision, [_CONFIG]) / _CONFIG).read_bytes()


def _name_labels(config: dict[str, Any]) -> tuple[str, ...] | None:
    """The names that transformers gives the classes; those of timm only where the file has them."""
    if "architecture" in config:
        return tuple(map(str, config.get("label_names") or ())) or None
    names = {int(index): str(label) for index, label in (config.get("id2label") or {}).items()}
    count = max([*names, int(config.get("num_labels") or 0) - 1, -1]) + 1 or _UNNAMED
    if count > MAX_LABELS:
        return None
    return tuple(names.get(index, f"LABEL_{index}") for index in range(count))
