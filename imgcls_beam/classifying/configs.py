"""A model's config.json, checked before anything is built from it."""

import json
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from imgcls_beam.errors import ModelError
from imgcls_beam.json_bounds import JsonBoundsError, load_bounded_file
from imgcls_beam.models import MAX_LABELS, find_claim, measure_weights
from imgcls_beam.models.settings import find_misfits, show_setting
from imgcls_beam.scoring import ModelSource

_OTHER_TASKS = {"shieldgemma2": "it wants text with each image, which this task does not have"}
"""Model types that transformers maps for this task, and whose forward wants more than images."""

_SHOWN_CHARS = 40

_OWN_CONFIG = "take the config that its weights came with"

_BLAMED = re.compile(r"(?:Validation error for field|property) '(\w+)'")
"""How errors begin in which transformers and Python name a setting."""

_AUTO_CLASSES = ("AutoConfig", "AutoModelForImageClassification")


def read_config(folder: pathlib.Path, source: ModelSource) -> dict[str, Any]:
    """Reads and checks what transformers would trip over later, or pass over in silence.

    Raises:
        ModelError: no JSON object; it needs code of its own; its labels cannot be numbered.
    """
    try:
        config = load_bounded_file(folder / "config.json")
    except FileNotFoundError as error:
        raise ModelError(f"{source.model_id}: it has no config.json") from error
    except JsonBoundsError as error:
        raise ModelError(f"{source.model_id}: its config.json {error}") from error
    except ValueError as error:
        raise ModelError(f"{source.model_id}: its config.json is not JSON") from error
    if not isinstance(config, dict):
        raise ModelError(f"{source.model_id}: its config.json is not a JSON object")
    for problem in _find_problems(config):
        raise ModelError(f"{source.model_id}: {problem}")
    if claim := find_claim(config, _measure(folder, source)):
        raise ModelError(f"{source.model_id}: {claim}")
    return config


def _measure(folder: pathlib.Path, source: ModelSource) -> int:
    return MAX_LABELS if source.weights is None else measure_weights(folder, source.weights)


def name_labels(config: dict[str, Any], loaded: Any) -> tuple[str, ...]:  # noqa: ANN401
    """The name of each class, by class index; `LABEL_<i>` where the config names none.

    Transformers forgets every name where some are missing and `num_labels` is given. So names are
    taken from the file, as `read_config` gave it, before those of the loaded model's config.
    """
    count: int = loaded.num_labels
    names = {int(index): str(label) for index, label in (loaded.id2label or {}).items()}
    given = {int(index): str(label) for index, label in (config.get("id2label") or {}).items()}
    if given and max(given) < count:
        names = given
    return tuple(names.get(index, f"LABEL_{index}") for index in range(count))


def explain_misfits(
    path: pathlib.Path,
    build: Callable[[dict[str, Any]], object],
    faults: tuple[type[Exception], ...],
    *,
    is_thorough: bool = True,
) -> str | None:
    """What to say of a config of which no model can be made.

    Args:
        path: of the config.json.
        build: makes a model of the settings.
        faults: what it raises.
        is_thorough: whether it is worth the time to try settings that look as they should.

    Returns:
        None where no setting of it can be blamed.
    """
    from transformers import AutoConfig

    config = load_bounded_file(path)
    is_typed = config.get("model_type") is not None
    try:
        kind = config["model_type"] if is_typed else _guess_type(path.parent)
        own = AutoConfig.for_model(kind).to_dict()
    except faults:
        return None if is_typed else f"its config.json names no model_type; {_OWN_CONFIG}"
    named = _find_named(config, build, faults)
    names = [named] if named else find_misfits(config, own, build, faults, is_thorough=is_thorough)
    values = ", ".join(
        f"{name} of its config.json is {show_setting(config, name)}" for name in names
    )
    return f"{values}, and no model can be made with that" if names else None


def _guess_type(folder: pathlib.Path) -> str:
    """What transformers takes a config for that does not say it: that of a model of timm, say."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    return str(config.model_type)


def _find_named(
    config: dict[str, Any],
    build: Callable[[dict[str, Any]], object],
    faults: tuple[type[Exception], ...],
) -> str | None:
    """The setting that the library itself blames; None where it names none."""
    try:
        build(config)
    except faults as error:
        named = _BLAMED.match(str(error))
        return named[1] if named and named[1] in config else None
    return None


def explain_classes(config: dict[str, Any], wanted: int, found: str) -> str:
    """What to say where the weights are for another number of classes than the config.

    Args:
        config: as `read_config` gave it.
        wanted: how many classes the config makes.
        found: how many the weights have, and which those are.
    """
    if config.get("id2label"):
        cause = f"id2label of its config.json names {wanted:,} classes"
    elif "num_labels" in config:
        cause = f"num_labels of its config.json is {wanted:,}"
    elif "id2label" in config:
        cause = f"id2label of its config.json is null, which makes {wanted:,} classes"
    else:
        cause = f"its config.json has no id2label, which makes {wanted:,} classes"
    return f"{cause}, and its weights have {found}, so it would predict at random; {_OWN_CONFIG}"


def explain_quantization(config: dict[str, Any], reason: str) -> str | None:
    """What to say of quantized weights that cannot be loaded; None of others.

    Args:
        config: as `read_config` gave it.
        reason: why not, in the library's words.
    """
    how = config.get("quantization_config")
    if how is None:
        return None
    setting = "quantization_config of its config.json"
    advice = "take the model as it was before it was quantized"
    method = how.get("quant_method") if isinstance(how, dict) else None
    if method is None:
        return f"{setting} has no quant_method; take it out, or {advice}"
    shown = json.dumps(method)[:_SHOWN_CHARS]
    return f"{setting} is for {shown}, which cannot be used here ({reason}); {advice}"


def _find_problems(config: dict[str, Any]) -> Iterator[str]:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    model_type, auto_map = str(config.get("model_type")), config.get("auto_map")
    if model_type in _OTHER_TASKS:
        yield _OTHER_TASKS[model_type]
    has_code = isinstance(auto_map, dict) and not auto_map.keys().isdisjoint(_AUTO_CLASSES)
    if has_code and model_type not in CONFIG_MAPPING:
        yield "it needs code of its own (auto_map), and code of a model is never run here"
    if not config.get("return_dict", True):
        yield "return_dict of its config.json is not true, so its scores have no name; take it out"
    if (weights := config.get("transformers_weights")) is not None:
        problem = "transformers_weights of its config.json names other weights"
        yield f"{problem} ({json.dumps(weights)[:_SHOWN_CHARS]}); take it out"
    labels, count = config.get("id2label"), config.get("num_labels")
    if labels == {} and count is None:
        yield "id2label of its config.json names no class; name them, or take it out"
    if labels is not None and not isinstance(labels, dict):
        yield "id2label of its config.json is not an object"
    numbers = [_to_number(index) for index in labels or {}]
    if None in numbers or len(set(numbers)) < len(numbers):
        yield "id2label of its config.json has keys that are not the numbers of classes"
    if any(not isinstance(label, str | int | float) for label in (labels or {}).values()):
        yield "id2label of its config.json has a name that is none"
    if "num_labels" in config and (
        isinstance(count, bool) or not isinstance(count, int) or count < 1
    ):
        yield "num_labels of its config.json is not 1 or more"


def _to_number(text: str) -> int | None:
    """A class index as JSON spells keys: decimal digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
