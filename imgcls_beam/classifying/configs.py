"""A model's config.json, checked before anything is built from it."""

import json
import pathlib
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
) -> str | None:
    """What to say of a config of which no model can be made.

    Args:
        path: of the config.json.
        build: makes a model of the settings.
        faults: what it raises.

    Returns:
        None where no setting of it can be blamed.
    """
    from transformers import AutoConfig

    config = load_bounded_file(path)
    try:
        own = AutoConfig.for_model(config["model_type"]).to_dict()
    except faults:
        return None
    names = find_misfits(config, own, build, faults)
    values = ", ".join(
        f"{name} of its config.json is {show_setting(config, name)}" for name in names
    )
    return f"{values}, and no model can be made with that" if names else None


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
    if labels is not None and not isinstance(labels, dict):
        yield "id2label of its config.json is not an object"
    numbers = [_to_number(index) for index in labels or {}]
    if None in numbers or len(set(numbers)) < len(numbers):
        yield "id2label of its config.json has keys that are not the numbers of classes"
    if any(not isinstance(label, str | int | float) for label in (labels or {}).values()):
        yield "id2label of its config.json has a name that is none"
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        yield "num_labels of its config.json is not 1 or more"


def _to_number(text: str) -> int | None:
    """A class index as JSON spells keys: decimal digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
