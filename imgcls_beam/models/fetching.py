"""A pinned model → a folder on this machine that holds what it is loaded from."""

import functools
import pathlib

from imgcls_beam.errors import ConfigError, ModelError
from imgcls_beam.models import hub
from imgcls_beam.models.mirroring import mirror_folder
from imgcls_beam.models.model_files import choose_weights, list_needed
from imgcls_beam.scoring import ModelSource


@functools.lru_cache(maxsize=8)
def fetch_model(source: ModelSource) -> pathlib.Path:
    """The folder that holds a model's config, image processor config and weights.

    A local folder is where it is. A hub model is brought to the hub's own cache, and a folder
    behind a URL to ours: once per machine, however many processes ask.

    Raises:
        ModelError: it is not there any more, changed since it was pinned, or cannot be fetched.
    """
    if source.commit is not None:
        return hub.download(source.location, source.commit, _list_needed(source))
    if "://" not in source.location:
        return pathlib.Path(source.location)
    try:
        folder, revision = mirror_folder(source.location)
    except ConfigError as error:
        raise ModelError(f"{source.model_id}: {error.problem}") from error
    except OSError as error:
        raise ModelError(f"{source.model_id}: the store does not deliver its files") from error
    if revision != source.revision:
        problem = "its files have changed since the job was started; start it again"
        raise ModelError(f"{source.model_id}: {problem}")
    return folder


def _list_needed(source: ModelSource) -> list[str]:
    assert source.commit is not None
    weights = source.weights or choose_weights(hub.list_files(source.location, source.commit))
    if weights is None:
        raise ModelError(f"{source.model_id}: it has no weights that are read here")
    return list_needed(weights)
