"""A model's name → a `ModelSource` pinned to one content."""

import os
import pathlib
import re
from collections.abc import Sequence

from imgcls_beam.checks import check_url
from imgcls_beam.errors import ConfigError
from imgcls_beam.models import hub
from imgcls_beam.models.mirroring import mirror_folder
from imgcls_beam.models.model_files import (
    choose_needed,
    choose_weights,
    find_other_weights,
    hash_files,
)
from imgcls_beam.scoring import ModelSource

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def resolve_model(model: str, revision: str | None) -> ModelSource:
    """Pins a model: a hub revision to its commit, a folder to the hash of its files.

    A folder of that name wins over a hub id, as it does in transformers. The hub is asked once;
    offline, its local cache answers. A folder behind a URL is fetched, for its hash.

    Args:
        model: hub id, local folder, or the URL of a folder on a store that fsspec knows.
        revision: branch, tag or commit of a hub model; None for its main branch.

    Raises:
        ConfigError: there is no such folder, hub model or revision, it holds no weights that are
            read here, or the hub cannot be reached.
    """
    if os.path.isdir(model):
        return _resolve_folder(model, revision)
    if "://" in model:
        return _resolve_url(model, revision)
    if not _HUB_ID.fullmatch(model):
        problem = "there is no such folder, and a hub model is named owner/name"
        raise ConfigError("model", model, problem)
    commit = hub.resolve_commit(model, revision)
    weights = _require_weights(model, hub.list_files(model, commit))
    return ModelSource(model, commit, model, commit, weights)


def _resolve_folder(model: str, revision: str | None) -> ModelSource:
    folder = pathlib.Path(model)
    _refuse_revision(model, revision)
    if not (folder / "config.json").is_file():
        raise ConfigError("model", model, "the folder has no config.json")
    names = os.listdir(folder)
    weights = _require_weights(model, names)
    content = hash_files(folder, choose_needed(names, weights))
    return ModelSource(os.path.normpath(model), content, str(folder.resolve()), None, weights)


def _resolve_url(url: str, revision: str | None) -> ModelSource:
    check_url("model", url, ())
    _refuse_revision(url, revision)
    try:
        folder, content = mirror_folder(url)
    except OSError as error:
        raise ConfigError("model", url, "its store does not deliver it") from error
    weights = _require_weights(url, os.listdir(folder))
    return ModelSource(url.rstrip("/"), content, url, None, weights)


def _refuse_revision(model: str, revision: str | None) -> None:
    if revision is not None:
        raise ConfigError("revision", revision, f"{model} is a folder, which has no revisions")


def _require_weights(model: str, names: Sequence[str]) -> str:
    weights = choose_weights(names)
    if weights is None:
        others = ", ".join(find_other_weights(names)[:3])
        problem = "it has no model.safetensors and no pytorch_model.bin"
        raise ConfigError("model", model, f"{problem}, but {others}" if others else problem)
    return weights
