"""A model's name → a `ModelSource` pinned to one content."""

import hashlib
import os
import pathlib
import re

from imgcls_beam.elements import ModelSource
from imgcls_beam.errors import ConfigError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOT_A_HUB = (ValueError, TypeError, AssertionError)
"""What huggingface_hub raises of an answer that is not a hub's: the page of a firewall, say."""

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
        digest.update(f"{content}  ".encode() + os.fsencode(path.name) + b"\n")
    return digest.hexdigest()


def _resolve_hub(model: str, revision: str | None) -> ModelSource:
    from huggingface_hub import HfApi, constants, errors

    is_offline = constants.is_offline_mode()
    # The bases: OSError, and what the HTTP library raises where a proxy refuses, say.
    faults: tuple[type[Exception], ...] = (
        *(errors.RevisionResolutionError, *_NOT_A_HUB),
        *errors.HfHubHTTPError.__bases__,
    )
    try:
        found = HfApi().resolve_revision(model, revision=revision, local_files_only=is_offline)
        if not _COMMIT.fullmatch(found.resolved):
            raise ValueError(f"{found.resolved!r} is no commit")
    except errors.RevisionNotFoundError as error:
        raise ConfigError("revision", revision, f"{model} has no such revision") from error
    except faults as error:
        raise ConfigError("model", model, _explain(error)) from error
    return ModelSource(model, found.resolved, model, found.resolved)


def _explain(error: Exception) -> str:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        return "the model is gated: accept its terms on the hub and set HF_TOKEN"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "no such folder or hub model; a private one needs HF_TOKEN"
    if isinstance(error, errors.HFValidationError):
        return "there is no such folder, and no hub model can have this name"
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code < 500:
        status = error.response.status_code
        return f"the hub refuses it (HTTP {status}); check HF_TOKEN, or try later"
    if isinstance(error, _NOT_A_HUB):
        return f"no such folder, and {constants.ENDPOINT} does not answer as a hub does"
    return (
        f"no such folder, it is not in the local cache, and the hub {constants.ENDPOINT} "
        "could not be reached"
    )
