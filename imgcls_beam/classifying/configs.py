"""A model's config.json, checked before anything is built from it."""

import json
import pathlib
from typing import Any

from imgcls_beam.errors import ModelError
from imgcls_beam.scoring import ModelSource

_OTHER_TASKS = {"shieldgemma2": "it wants text with each image, which this task does not have"}
"""Model types that transformers maps for this task, and whose forward wants more than images."""

_AUTO_CLASS = "AutoModelForImageClassification"


def read_config(folder: pathlib.Path, source: ModelSource) -> dict[str, Any]:
    """Reads and checks what transformers would trip over later, or pass over in silence.

    Raises:
        ModelError: no JSON object; it needs code of its own; its labels cannot be numbered.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{source.model_id}: it has no config.json") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{source.model_id}: its config.json is not JSON") from error
    if not isinstance(config, dict):
        raise ModelError(f"{source.model_id}: its config.json is not a JSON object")
    if config.get("model_type") in _OTHER_TASKS:
        raise ModelError(f"{source.model_id}: {_OTHER_TASKS[config['model_type']]}")
    _refuse_remote_code(config, source)
    _check_labels(config, source)
    return config


def name_labels(config: dict[str, Any], loaded: Any) -> tuple[str, ...]:  # noqa: ANN401
    """The name of each class, by class index; `LABEL_<i>` where the config names none.

    Transformers forgets every name where some are missing and `num_labels` is given; here the
    names that there are stay.

    Args:
        config: as `read_config` gave it.
        loaded: the config of the loaded model.
    """
    count: int = loaded.num_labels
    names = {int(index): str(label) for index, label in (loaded.id2label or {}).items()}
    given = {int(index): str(label) for index, label in (config.get("id2label") or {}).items()}
    if given and max(given) < count:
        names = given
    return tuple(names.get(index, f"LABEL_{index}") for index in range(count))


def _refuse_remote_code(config: dict[str, Any], source: ModelSource) -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    auto_map = config.get("auto_map")
    is_known = config.get("model_type") in CONFIG_MAPPING
    if isinstance(auto_map, dict) and not is_known and {"AutoConfig", _AUTO_CLASS} & set(auto_map):
        problem = "it needs code of its own (auto_map), and code of a model is never run here"
        raise ModelError(f"{source.model_id}: {problem}")


def _check_labels(config: dict[str, Any], source: ModelSource) -> None:
    labels = config.get("id2label")
    if labels is not None and not isinstance(labels, dict):
        raise ModelError(f"{source.model_id}: id2label of its config.json is not an object")
    numbers = [_to_number(index) for index in labels or {}]
    if None in numbers or len(set(numbers)) < len(numbers):
        problem = "id2label of its config.json has keys that are not the numbers of classes"
        raise ModelError(f"{source.model_id}: {problem}")
    if any(not isinstance(label, str | int | float) for label in (labels or {}).values()):
        raise ModelError(f"{source.model_id}: id2label of its config.json has a name that is none")
    count = config.get("num_labels")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ModelError(f"{source.model_id}: num_labels of its config.json is not 1 or more")


def _to_number(text: str) -> int | None:
    """A class index as JSON spells keys: decimal digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
