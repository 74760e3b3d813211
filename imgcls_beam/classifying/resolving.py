"""A model's name → a `ModelSource` pinned to one content."""

import hashlib
import os
import pathlib
import re

from imgcls_beam.elements import ModelSource
from imgcls_beam.errors import ConfigError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_OWN_FILES = ("*.json", "*.safetensors", "*.bin", "*.txt")


def resolve_model(model: str, revision: str | None) -> ModelSource:
    """Pins a model: a hub revision to its commit, a folder to the hash of its files.

    A folder of that name wins over a hub id, as it does in transformers. The hub is asked once;
    offline, its local cache answers.

    Raises:
        ConfigError: there is no such folder, hub model or revision, or the hub cannot be reached.
    """
    if os.path.isdir(model):
        return _resolve_folder(model, revision)
    if not _HUB_ID.fullmatch(model):
        problem = "there is no such folder, and a hub model is named owner/name"
        raise ConfigError("model", model, problem)
    return _resolve_hub(model, revision)


def _resolve_folder(model: str, revision: str | None) -> ModelSource:
    folder = pathlib.Path(model)
    if revision is not None:
        raise ConfigError("revision", revision, f"{model} is a folder, which has no revisions")
    if not (folder / "config.json").is_file():
        raise ConfigError("model", model, "the folder has no config.json")
    name = os.path.normpath(model)
    return ModelSource(name, _hash_folder(folder), str(folder.resolve()))


def _hash_folder(folder: pathlib.Path) -> str:
    """SHA-256 over the names and contents of the model's files, by name."""
    digest = hashlib.sha256()
    files = {path for pattern in _OWN_FILES for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(files):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{content}  {path.name}\n".encode())
    return digest.hexdigest()


def _resolve_hub(model: str, revision: str | None) -> ModelSource:
    from huggingface_hub import HfApi, constants, errors

    api = HfApi()
    try:
        found = api.resolve_revision(
            model, revision=revision, local_files_only=constants.is_offline_mode()
        )
    except errors.GatedRepoError as error:
        problem = "the model is gated: accept its terms on the hub and set HF_TOKEN"
        raise ConfigError("model", model, problem) from error
    except errors.RepositoryNotFoundError as error:
        problem = "no such folder or hub model; a private one needs HF_TOKEN"
        raise ConfigError("model", model, problem) from error
    except errors.RevisionNotFoundError as error:
        raise ConfigError("revision", revision, f"{model} has no such revision") from error
    except (errors.RevisionResolutionError, OSError) as error:
        problem = (
            f"no such folder, it is not in the local cache, and the hub {constants.ENDPOINT} "
            "could not be reached"
        )
        raise ConfigError("model", model, problem) from error
    return ModelSource(model, found.resolved, model, found.resolved)
