"""Which files of a model are read, and what they add up to."""

import hashlib
import os
import pathlib
from collections.abc import Callable, Collection, Iterable

from imgcls_beam.errors import ConfigError
from imgcls_beam.json_bounds import MAX_BYTES, load_bounded
from imgcls_beam.models.absences import explain_no_config, explain_no_weights, refuse_pickle
from imgcls_beam.models.contents import find_index_problem, find_problem
from imgcls_beam.scoring import WeightsForm

CONFIGS = ("config.json", "preprocessor_config.json", "processor_config.json")

_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
_WEIGHTS = (*_SAFETENSORS, "pytorch_model.bin", "pytorch_model.bin.index.json")
"""The forms of weights that are read, the best first.

Safetensors hold nothing but tensors; `.bin` is a pickle, which is read by a loader that refuses
everything else. An index names the files, its shards, in which the weights are.
"""

ReadFile = Callable[[str], bytes]
"""The content of a model's file, by its name; no more than bounds allow, see `json_bounds`."""


def choose_weights(model: str, names: Collection[str], form: WeightsForm = "auto") -> str:
    """The file to read the weights from, of all the files of a model.

    Args:
        model: as it was given; is named.
        names: of files, as paths below the model's folder.
        form: what they may be read from.

    Raises:
        ConfigError: there are no weights in a form that is read here, or may be.
    """
    found = [weights for weights in _WEIGHTS if weights in names]
    if not found:
        raise ConfigError("model", model, explain_no_weights(names))
    if form == "safetensors" and found[0] not in _SAFETENSORS:
        raise ConfigError("weights", form, refuse_pickle(model, found[0]))
    return found[0]


def check_folder(model: str, names: Collection[str], form: WeightsForm = "auto") -> str:
    """The file to read the weights from, of all the files in a model's folder.

    Raises:
        ConfigError: there is no config, or there are no weights in a form that is read here.
    """
    if "config.json" not in names:
        raise ConfigError("model", model, explain_no_config(model, names))
    return choose_weights(model, names, form)


def has_model(names: Collection[str]) -> bool:
    """Whether a model can be loaded from files of these names."""
    return "config.json" in names and any(each in names for each in _WEIGHTS)


def list_needed(model: str, weights: str, read: ReadFile) -> list[str]:
    """Names of the files that a classifier is loaded from; not every model has each config.

    Args:
        model: as it was given; is named.
        weights: as `choose_weights` gave it.
        read: is asked for an index.

    Raises:
        ConfigError: the index is none, or names a file outside of the model's folder, or one of
            safetensors names another form.
    """
    if not weights.endswith(".index.json"):
        return [*CONFIGS, weights]
    index = read(weights)
    if problem := find_index_problem(index):
        raise ConfigError("model", model, f"{weights} {problem}")
    try:
        shards = {str(each) for each in load_bounded(index)["weight_map"].values()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        problem = f"{weights} has no weight_map of names and files; fetch the model again"
        raise ConfigError("model", model, problem) from error
    for shard in shards:
        if not _is_inside(shard):
            problem = f"{weights} names a file outside of the model's folder ({shard!r})"
            raise ConfigError("model", model, f"{problem}, which is never read")
        if weights in _SAFETENSORS and not shard.endswith(".safetensors"):
            raise ConfigError("model", model, f"{weights} names {shard}, which is no safetensors")
    return [*CONFIGS, weights, *sorted(shards)]


def read_bounded(path: pathlib.Path) -> bytes:
    """The content of a small file; of a larger one so much that it is seen to be too large.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def measure_weights(folder: pathlib.Path, weights: str) -> int:
    """Bytes of the files that a model's weights are in.

    Args:
        folder: of the model.
        weights: as `choose_weights` gave it.
    """
    needed = list_needed(str(folder), weights, lambda name: read_bounded(folder / name))
    paths = [folder / name for name in needed[len(CONFIGS) :]]
    return sum(path.stat().st_size for path in paths if path.is_file())


def check_files(model: str, folder: pathlib.Path, needed: Iterable[str]) -> None:
    """Checks the files that a classifier is loaded from, as far as their first bytes tell.

    Raises:
        ConfigError: one is not what its name says, or a shard is missing.
        OSError: one cannot be read.
    """
    for name in needed:
        if problem := find_problem(folder / name):
            raise ConfigError("model", model, problem)
        if name not in CONFIGS and not (folder / name).is_file():
            raise ConfigError("model", model, f"its index names {name}, which is not there")


def hash_files(folder: pathlib.Path, names: Iterable[str]) -> str:
    """SHA-256 over the names and contents of files, whatever their order: 64 hex digits."""
    digest = hashlib.sha256()
    for name in sorted(names):
        path = folder / name
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{content}  ".encode() + os.fsencode(name) + b"\n")
    return digest.hexdigest()


def hash_folder(folder: pathlib.Path) -> str:
    """The same over the files that a classifier is loaded from, whatever is wrong with them."""
    names = os.listdir(folder)
    weights = next((each for each in _WEIGHTS if each in names), CONFIGS[0])
    try:
        needed = list_needed(str(folder), weights, lambda name: read_bounded(folder / name))
    except ConfigError:
        needed = [*CONFIGS, weights]
    return hash_files(folder, set(needed))


def _is_inside(name: str) -> bool:
    """Whether a name is a plain relative path, the same on every system."""
    parts = name.split("/")
    return name.isprintable() and not set(parts) & {"", ".", ".."} and not set(name) & {"\\", ":"}
