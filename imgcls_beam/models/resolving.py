"""A model's name → a `ModelSource` pinned to one content → a folder here that holds it."""

import functools
import os
import pathlib

from imgcls_beam.checks import check_url
from imgcls_beam.errors import ConfigError, ModelError
from imgcls_beam.models import hub
from imgcls_beam.models.mirroring import mirror_folder
from imgcls_beam.models.model_files import (
    CONFIGS,
    check_files,
    check_folder,
    hash_folder,
    list_needed,
    read_bounded,
)
from imgcls_beam.models.spellings import read_spelling
from imgcls_beam.scoring import ModelSource, WeightsForm


def resolve_model(model: str, revision: str | None, form: WeightsForm = "auto") -> ModelSource:
    """Pins a model: a hub revision to its commit, a folder to the hash of its files.

    A folder of that name wins over a hub id, as it does in transformers. The hub is asked once;
    offline, its local cache answers. A folder behind a URL is fetched, for its hash.

    Args:
        model: hub id, also as `owner/name@revision` or the address of its page; local folder; or
            the URL of a folder on a store that fsspec knows.
        revision: branch, tag or commit of a hub model; None for its main branch.
        form: what weights may be read from; a model of another form is refused by the names of its
            files, before one is read.

    Raises:
        ConfigError: there is no such folder, hub model or revision, it holds no weights that are
            read here, a file is not what its name says, or the hub cannot be reached.
    """
    folder = os.path.expanduser(model) if model.startswith("~") else model
    if os.path.isdir(folder):
        names = (os.path.normpath(folder), os.path.realpath(folder))
        return _resolve_folder(folder, revision, *names, form)
    spelled = read_spelling(model, revision)
    if spelled is None:
        check_url("model", model, ())
        return _resolve_folder(model, revision, model.rstrip("/"), model, form)
    commit = hub.resolve_commit(spelled.model, spelled.revision)
    weights = check_folder(spelled.model, hub.list_files(spelled.model, commit), form)
    return ModelSource(spelled.model, commit, spelled.model, commit, weights)


def _resolve_folder(
    model: str, revision: str | None, model_id: str, location: str, form: WeightsForm
) -> ModelSource:
    if revision is not None:
        raise ConfigError("revision", revision, f"{model} is a folder, which has no revisions")
    try:
        folder, content = _open_folder(model, form)
        weights = check_folder(model, _list_names(folder), form)
        needed = list_needed(model, weights, lambda name: read_bounded(folder / name))
        check_files(model, folder, needed)
    except OSError as error:
        raise ConfigError("model", model, "its files cannot be read") from error
    return ModelSource(model_id, content, location, None, weights)


def _list_names(folder: pathlib.Path) -> list[str]:
    """Names in a folder, and those in its folders as `folder/name`."""
    names = [
        f"{each.name}/{name}"
        for each in folder.iterdir()
        if each.is_dir() and os.access(each, os.R_OK | os.X_OK)
        for name in os.listdir(each)
    ]
    return [*os.listdir(folder), *names]


@functools.lru_cache(maxsize=8)
def fetch_model(source: ModelSource) -> pathlib.Path:
    """The folder that holds a model's config, image processor config and weights.

    A local folder is where it is. A hub model is brought to the hub's own cache, and a folder
    behind a URL to ours: once per machine, however many processes ask.

    Raises:
        ModelError: it is not there any more, changed since it was pinned, or cannot be fetched; or
            a file is not what its name says.
    """
    try:
        if source.commit is not None:
            return _download(source, source.commit)
        folder, content = _open_folder(source.location)
    except ConfigError as error:
        raise ModelError(f"{source.model_id}: {error.problem}") from error
    except OSError as error:
        raise ModelError(f"{source.model_id}: its files cannot be read") from error
    if content != source.revision:
        problem = "its files have changed since the job was started; start it again"
        raise ModelError(f"{source.model_id}: {problem}")
    return folder


def _download(source: ModelSource, commit: str) -> pathlib.Path:
    model, weights = source.location, source.weights
    if weights is None:
        weights = check_folder(model, hub.list_files(model, commit))
    folder = hub.download(model, commit, [*CONFIGS, weights])
    needed = list_needed(model, weights, lambda name: read_bounded(folder / name))
    if shards := needed[len(CONFIGS) + 1 :]:
        folder = hub.download(model, commit, shards)
    check_files(model, folder, needed)
    return folder


def _open_folder(location: str, form: WeightsForm = "auto") -> tuple[pathlib.Path, str]:
    """A folder, or a URL's copy on this machine, and the SHA-256 over a model's files in it.

    Raises:
        ConfigError: there is no such folder on the store, or no model in it, or none of this form.
        OSError: its files cannot be read.
    """
    if "://" in location:
        return mirror_folder(location, form)
    folder = pathlib.Path(location)
    if form != "auto":
        check_folder(location, _list_names(folder), form)
    return folder, hash_folder(folder)
