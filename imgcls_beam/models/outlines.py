"""A model without its weights: its settings, and what the headers of its weights say.

Enough to find on the machine that starts a job that the workers of it could not load the model.
"""

import contextlib
import dataclasses
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping

from imgcls_beam.errors import ConfigError, ModelError
from imgcls_beam.json_bounds import load_bounded
from imgcls_beam.models import hub
from imgcls_beam.models.mirroring import mirror_folder
from imgcls_beam.models.model_files import (
    CONFIGS,
    check_files,
    hash_folder,
    list_needed,
    read_bounded,
)
from imgcls_beam.scoring import ModelSource

_HEADER = ".safetensors"
"""How files end that have a header, which names their tensors."""
_LENGTH_BYTES = 8
_METADATA = "__metadata__"


@dataclasses.dataclass(frozen=True, slots=True)
class Outline:
    """A model without its weights.

    Attributes:
        source: of a folder that has its settings alone.
        weights_bytes: of the files that its weights are in.
        tensors: the names of its weights; None where only who loads them finds them.
    """

    source: ModelSource
    weights_bytes: int
    tensors: frozenset[str] | None


@contextlib.contextmanager
def fetched_outline(source: ModelSource) -> Iterator[Outline]:
    """Fetches the outline of a model, and keeps it for the block.

    Raises:
        ModelError: a file that is needed is not there, is not what its name says, or cannot be
            fetched.
    """
    with tempfile.TemporaryDirectory(prefix="imgcls-", ignore_cleanup_errors=True) as temporary:
        alone = pathlib.Path(temporary)
        try:
            sizes, tensors = _fetch(source, alone)
            check_files(source.model_id, alone, CONFIGS)
        except ConfigError as error:
            raise ModelError(f"{source.model_id}: {error.problem}") from error
        except OSError as error:
            raise ModelError(f"{source.model_id}: its files cannot be read") from error
        settings = ModelSource(source.model_id, hash_folder(alone), temporary, None, None)
        yield Outline(settings, sum(sizes.values()), tensors)


def _fetch(
    source: ModelSource, alone: pathlib.Path
) -> tuple[Mapping[str, int], frozenset[str] | None]:
    """Copies the settings; gives the size of each file of weights, and the names in them."""
    weights, commit = source.weights or "", source.commit
    if commit is None:
        is_url = "://" in source.location
        folder = mirror_folder(source.location)[0] if is_url else pathlib.Path(source.location)
    else:
        index = [weights] if weights.endswith(".index.json") else []
        folder = hub.download(source.location, commit, [*CONFIGS, *index])
    for name in CONFIGS:
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(folder / name, alone / name)
    needed = list_needed(source.model_id, weights, lambda name: read_bounded(folder / name))
    files = [name for name in needed[len(CONFIGS) :] if not name.endswith(".json")]
    if commit is None or hub.is_offline():
        return _measure(files, {name: folder / name for name in files})
    sizes = hub.measure_files(source.location, commit)
    _check_there(files, sizes)
    return {name: sizes[name] for name in files}, (
        hub.read_tensor_names(source.location, commit, files) if _have_headers(files) else None
    )


def _measure(
    files: list[str], paths: Mapping[str, pathlib.Path]
) -> tuple[Mapping[str, int], frozenset[str] | None]:
    sizes = {name: path.stat().st_size for name, path in paths.items() if path.is_file()}
    _check_there(files, sizes)
    if not _have_headers(files):
        return sizes, None
    return sizes, frozenset(name for path in paths.values() for name in _read_names(path))


def _have_headers(files: list[str]) -> bool:
    return bool(files) and all(name.endswith(_HEADER) for name in files)


def _check_there(files: list[str], sizes: Mapping[str, int]) -> None:
    for name in files:
        if name not in sizes:
            raise ConfigError("model", name, f"its index names {name}, which is not there")


def _read_names(path: pathlib.Path) -> Iterator[str]:
    """The names in the header of a file, which was checked when the model was pinned."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        yield from load_bounded(file.read(length)).keys() - {_METADATA}
