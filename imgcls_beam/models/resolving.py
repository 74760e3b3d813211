"""A model's name → a `ModelSource` pinned to one content → a folder here that holds it."""

import functools
import os
import pathlib
import re

from imgcls_beam.checks import check_url
from imgcls_beam.errors import ConfigError, ModelError
from imgcls_beam.models import hub
from imgcls_beam.models.mirroring import mirror_folder
from imgcls_beam.models.model_files import (
    check_folder,
    choose_needed,
    choose_weights,
    hash_files,
    list_needed,
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
        return _resolve_folder(model, revision, os.path.normpath(model), os.path.realpath(model))
    if "://" in model:
        check_url("model", model, ())
        return _resolve_folder(model, revision, model.rstrip("/"), model)
    if not _HUB_ID.fullmatch(model):
        problem = "there is no such folder, and a hub model is named owner/name"
        raise ConfigError("model", model, problem)
    commit = hub.resolve_commit(model, revision)
    weights = choose_weights(model, hub.list_files(model, commit))
    return ModelSource(model, commit, model, commit, weights)


def _resolve_folder(model: str, revision: str | None, model_id: str, location: str) -> ModelSource:
    if revision is not None:
        raise ConfigError("revision", revision, f"{model} is a folder, which has no revisions")
    try:
        folder, content = _open_folder(model)
    except OSError as error:
        raise ConfigError("model", model, "its files cannot be read") from error
    weights = check_folder(model, os.listdir(folder))
    return ModelSource(model_id, content, location, None, weights)


@functools.lru_cache(maxsize=8)
def fetch_model(source: ModelSource) -> pathlib.Path:
    """The folder that holds a model's config, image processor config and weights.

    A local folder is where it is. A hub model is brought to the hub's own cache, and a folder
    behind a URL to ours: once per machine, however many processes ask.

    Raises:
        ModelError: it is not there any more, changed since it was pinned, or cannot be fetched.
    """
    try:
        if source.commit is not None:
            names = [] if source.weights else hub.list_files(source.location, source.commit)
            weights = source.weights or choose_weights(source.model_id, names)
            return hub.download(source.location, source.commit, list_needed(weights))
        folder, content = _open_folder(source.location)
    except ConfigError as error:
        raise ModelError(f"{source.model_id}: {error.problem}") from error
    except OSError as error:
        raise ModelError(f"{source.model_id}: its files cannot be read") from error
    if content != source.revision:
        problem = "its files have changed since the job was started; start it again"
        raise ModelError(f"{source.model_id}: {problem}")
    return folder


def _open_folder(location: str) -> tuple[pathlib.Path, str]:
    """A folder, or a URL's copy on this machine, and the SHA-256 over a model's files in it.

    Raises:
        ConfigError: there is no such folder on the store, or no model in it.
        OSError: its files cannot be read.
    """
    if "://" in location:
        return mirror_folder(location)
    folder = pathlib.Path(location)
    return folder, hash_files(folder, choose_needed(os.listdir(folder)))
