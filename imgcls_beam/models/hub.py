"""What is asked of the Hugging Face Hub: which commit, which files, and the files themselves.

`huggingface_hub` reads `HF_TOKEN`, `HF_ENDPOINT`, `HF_HUB_OFFLINE` and `HF_HOME` itself, when it is
imported. Its downloads are locked by file, so several processes fetch a file once.
"""

import pathlib
import re

from imgcls_beam.errors import ConfigError, ModelError

_SPECIAL = re.compile(r"([*?\[])")
"""What a pattern of names takes for more than itself."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOT_A_HUB = (ValueError, TypeError, AssertionError)
"""What huggingface_hub raises of an answer that is not a hub's: the page of a firewall, say."""


def resolve_commit(model: str, revision: str | None) -> str:
    """The commit of a branch, tag or commit; offline, the local cache answers.

    Raises:
        ConfigError: there is no such model or revision, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi, constants, errors

    is_offline = constants.is_offline_mode()
    try:
        found = HfApi().resolve_revision(model, revision=revision, local_files_only=is_offline)
        if not _COMMIT.fullmatch(found.resolved):
            raise ValueError(f"{found.resolved!r} is no commit")
    except errors.RevisionNotFoundError as error:
        raise ConfigError("revision", revision, f"{model} has no such revision") from error
    except _faults() as error:
        raise ConfigError("model", model, _explain(error)) from error
    return found.resolved


def list_files(model: str, commit: str) -> list[str]:
    """Names of a model's files at a commit; of those in the local cache where the hub is away.

    Raises:
        ConfigError: the hub refuses, or cannot be reached and there is nothing in the cache.
    """
    from huggingface_hub import HfApi, constants, errors

    if constants.is_offline_mode():
        return _list_cached(model, commit)
    try:
        siblings = HfApi().model_info(model, revision=commit).siblings or []
        return [each.rfilename for each in siblings]
    except errors.RevisionNotFoundError as error:
        raise ConfigError("revision", commit, f"{model} has no such revision") from error
    except _faults() as error:
        response = getattr(error, "response", None)
        if response is not None and response.status_code < 500:
            raise ConfigError("model", model, _explain(error)) from error
        return _list_cached(model, commit)  # the hub is away; what was fetched before may do


def _list_cached(model: str, commit: str) -> list[str]:
    from huggingface_hub import constants, try_to_load_from_cache

    config = try_to_load_from_cache(
        model, "config.json", revision=commit, cache_dir=constants.HF_HUB_CACHE
    )
    if not isinstance(config, str):
        raise ConfigError("model", model, _explain_absence())
    return [path.name for path in pathlib.Path(config).parent.iterdir()]


def read_licence(model: str, commit: str) -> str | None:
    """What a model's card calls its licence; None where it does not say, or the hub is away."""
    from huggingface_hub import HfApi, constants

    if constants.is_offline_mode():
        return None
    try:
        card = HfApi().model_info(model, revision=commit).card_data
    except _faults():
        return None
    licence = None if card is None else card.get("license")
    return licence if isinstance(licence, str) else None


def download(model: str, commit: str, names: list[str]) -> pathlib.Path:
    """Brings files of a commit to the hub's cache on this machine; gives their folder.

    Raises:
        ModelError: the hub refuses them, or cannot be reached and the cache lacks one.
    """
    from huggingface_hub import constants, snapshot_download

    is_offline = constants.is_offline_mode()
    try:
        folder = snapshot_download(
            model,
            revision=commit,
            allow_patterns=[_SPECIAL.sub(r"[\1]", name) for name in names],
            local_files_only=is_offline,
        )
    except _faults() as error:
        raise ModelError(f"{model}: {_explain(error)}") from error
    return pathlib.Path(folder)


def is_offline() -> bool:
    """Whether the hub is not asked, and the local cache answers alone."""
    from huggingface_hub import constants

    return bool(constants.is_offline_mode())


def measure_files(model: str, commit: str) -> dict[str, int]:
    """The size of each file of a model at a commit, by its name.

    Raises:
        ConfigError: the hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi

    try:
        found = list(HfApi().list_repo_tree(model, revision=commit, recursive=True))
    except _faults() as error:
        raise ConfigError("model", model, _explain(error)) from error
    return {each.path: each.size for each in found if hasattr(each, "size")}


def read_tensor_names(model: str, commit: str, names: list[str]) -> frozenset[str]:
    """The names of the tensors in safetensors files of a model; only their headers are read.

    Raises:
        ConfigError: one is no such file, or the hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi, errors

    found: set[str] = set()
    for name in names:
        try:
            header = HfApi().parse_safetensors_file_metadata(model, name, revision=commit)
        except errors.SafetensorsParsingError as error:
            problem = f"{name} is not a safetensors file, or is damaged"
            raise ConfigError("model", model, problem) from error
        except _faults() as error:
            raise ConfigError("model", model, _explain(error)) from error
        found.update(header.tensors)
    return frozenset(found)


def _faults() -> tuple[type[Exception], ...]:
    from huggingface_hub import errors

    # The bases: OSError, and what the HTTP library raises where a proxy refuses, say.
    return (errors.RevisionResolutionError, *_NOT_A_HUB, *errors.HfHubHTTPError.__bases__)


def _explain(error: Exception) -> str:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        return "the model is gated: accept its terms on the hub and set HF_TOKEN"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the hub has this revision no more"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "no such folder or hub model; a private one needs HF_TOKEN"
    if isinstance(error, errors.HFValidationError):
        return "there is no such folder, and no hub model can have this name"
    if isinstance(error, errors.HfHubHTTPError) and (status := error.response.status_code) < 500:
        return f"the hub refuses it (HTTP {status}); check HF_TOKEN, or try later"
    if isinstance(error, _NOT_A_HUB):
        return f"no such folder, and {constants.ENDPOINT} does not answer as a hub does"
    return _explain_absence()


def _explain_absence() -> str:
    from huggingface_hub import constants

    hub = "the hub could not be reached, for HF_HUB_OFFLINE is set"
    if not constants.is_offline_mode():
        hub = (
            f"the hub {constants.ENDPOINT} could not be reached; see the network, or give a folder"
        )
    return f"no such folder, it is not in the local cache, and {hub}"
