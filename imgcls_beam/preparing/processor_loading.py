"""A model's files → its image processor, of the Pillow backend."""

import importlib
import importlib.metadata
import importlib.util
import pathlib
from collections.abc import Callable
from typing import Any

from imgcls_beam.errors import ModelError
from imgcls_beam.json_bounds import load_bounded_file
from imgcls_beam.models import fetch_model, find_large_size
from imgcls_beam.models.settings import find_misfits, show_setting
from imgcls_beam.reasons import describe_reason
from imgcls_beam.scoring import ModelSource

_FAULTS = (
    *(OSError, ValueError, TypeError, ImportError, LookupError, AttributeError),
    *(RuntimeError, AssertionError),
)
"""What a config that is damaged, or of something else, makes transformers raise."""

_CONFIGS = ("processor_config.json", "preprocessor_config.json")
"""The files that hold a processor's config; the first is preferred if it has one."""


def load_processor(source: ModelSource) -> Any:  # noqa: ANN401  transformers' own class
    """Loads the image processor of a model; nothing is asked of the network but its files.

    The Pillow backend is asked for by name: it is the one without torchvision, and the two differ
    by up to two grey levels.

    Raises:
        ModelError: there is no processor config, or nothing here can run it.
    """
    from transformers import AutoImageProcessor

    folder = fetch_model(source)
    if claim := find_large_size(_read_config(folder)):
        raise ModelError(f"{source.model_id}: {claim} (its image processor's config)")
    try:
        if extractor := _find_renamed(folder):
            return extractor.from_pretrained(str(folder), local_files_only=True)
        return AutoImageProcessor.from_pretrained(
            str(folder), backend="pil", trust_remote_code=False, local_files_only=True
        )
    except _FAULTS as error:
        reason = explain_processor(source, bool) or _explain(folder, error)
        raise ModelError(f"{source.model_id}: its image processor {reason}") from error


def _find_renamed(folder: pathlib.Path) -> Any:  # noqa: ANN401
    """The class for a config that names a feature extractor, as image processors were called once.

    Transformers 5 fails on `image_processor_type: ViTFeatureExtractor`, though the settings are the
    same. None for other configs.
    """
    import transformers

    name = str(_read_config(folder).get("image_processor_type"))
    if not name.endswith("FeatureExtractor"):
        return None
    renamed = name.replace("FeatureExtractor", "ImageProcessor")
    return getattr(transformers, f"{renamed}Pil", None) or getattr(transformers, renamed, None)


def _read_config(folder: pathlib.Path) -> dict[str, Any]:
    """The processor's config, as transformers would find it; empty where there is none."""
    nested = _read_json(folder / _CONFIGS[0]).get("image_processor")
    return nested if isinstance(nested, dict) else _read_json(folder / _CONFIGS[1])


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    """A file's object; empty where there is none, which transformers then says in its words."""
    try:
        value = load_bounded_file(path)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _explain(folder: pathlib.Path, error: Exception) -> str:
    """What to say of a processor that cannot be loaded, in half a sentence."""
    missing = ", ".join(_list_missing_packages(folder))
    if missing:
        extra = "; pip install timm torchvision" if "torchvision" in missing else ""
        return f"needs {missing}, which is not installed here{extra}"
    if misfit := _find_misfit():
        return misfit
    if not any((folder / name).exists() for name in _CONFIGS):
        return f"has no config: neither {' nor '.join(reversed(_CONFIGS))} is there"
    if "auto_map" in _read_config(folder):
        return "is code of the model's own, which is never run here"
    # The first sentence only: transformers lists every family that it knows after it.
    return f"cannot be loaded ({describe_reason(error)})"


def explain_processor(source: ModelSource, prepare: Callable[[Any], object]) -> str | None:
    """Which setting of its config is to blame that no image can be prepared; None for none.

    Args:
        source: the model.
        prepare: is called with a processor, and fails as it does.
    """
    import transformers

    folder = fetch_model(source)
    forms = [each for each in _list_forms(folder) if each.endswith("Pil")]
    kind = _find_renamed(folder) or getattr(transformers, forms[0] if forms else "", None)
    if kind is None:
        return None
    config = _read_config(folder)
    faults = (*_FAULTS, ZeroDivisionError)
    names = find_misfits(
        config, kind().to_dict(), lambda settings: prepare(kind.from_dict(settings)), faults
    )
    values = ", ".join(f"{name} is {show_setting(config, name)}" for name in names)
    return f"prepares no image where {values}" if names else None


def _find_misfit() -> str | None:
    """What to say where torchvision was built for another torch, and cannot be imported."""
    if importlib.util.find_spec("torchvision") is None:
        return None
    try:
        importlib.import_module("torchvision")
    except (RuntimeError, ImportError, OSError, AttributeError):
        version_of = importlib.metadata.version
        pair = f"torchvision {version_of('torchvision')} does not fit torch {version_of('torch')}"
        return f"cannot be run: {pair}; install both from one index, imgcls_beam[timm]"
    return None


def _list_missing_packages(folder: pathlib.Path) -> list[str]:
    """The packages that are missing here, of a processor that has one form only."""
    import transformers

    names = _list_forms(folder)
    if len(names) != 1 or names[0].endswith("Pil"):
        return []
    needs = getattr(getattr(transformers, names[0], None), "_backends", [])
    return sorted(each for each in needs if importlib.util.find_spec(each) is None)


def _list_forms(folder: pathlib.Path) -> list[str]:
    """The classes that transformers has for this model's processor, one for each backend."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    name = _read_config(folder).get("image_processor_type")
    for forms in IMAGE_PROCESSOR_MAPPING_NAMES.values():
        if name in forms.values():
            return list(forms.values())
    config = _read_json(folder / "config.json")
    family = "timm_wrapper" if "pretrained_cfg" in config else config.get("model_type")
    return list(IMAGE_PROCESSOR_MAPPING_NAMES.get(str(family), {}).values())
