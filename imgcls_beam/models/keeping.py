"""What was found out about a model once, kept in the cache folder for later starts.

A kept folder holds files and one small JSON, which has their checksums and its own. It is made
under a temporary name and renamed, so it is there as a whole or not at all; of two processes that
make the same, one is first and the other throws its own away. Nothing in it is pickled.
"""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from imgcls_beam.cache import find_cache

_FACTS = "facts.json"
_CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """What was kept, checked.

    Attributes:
        facts: JSON values by name.
        folder: where its files lie.
    """

    facts: Mapping[str, Any]
    folder: pathlib.Path


def find_kept(kind: str, key: Mapping[str, Any]) -> Kept | None:
    """What was kept under a key; None where nothing was, or where it is damaged.

    Args:
        kind: what it is, a word; the name of its folder begins with it.
        key: JSON values; what was kept holds for an equal key alone.
    """
    folder = _locate(kind, key)
    try:
        held = json.loads((folder / _FACTS).read_bytes())
        sealed = {name: held[name] for name in ("key", "facts", "files")}
        is_ours = sealed["key"] == _plain(key) and held["sha256"] == _digest(sealed)
        files = sealed["files"].items() if is_ours else ()
        if is_ours and all(_hash_file(folder / name) == digest for name, digest in files):
            return Kept(sealed["facts"], folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return None


def keep(
    kind: str,
    key: Mapping[str, Any],
    facts: Mapping[str, Any],
    write: Callable[[pathlib.Path], object] = lambda _: None,
) -> Kept | None:
    """Keeps facts and files under a key; None where this machine does not let us.

    Args:
        kind: as `find_kept` takes it.
        key: as `find_kept` takes it.
        facts: JSON values by name.
        write: writes the files into the folder that it is given.
    """
    place = _locate(kind, key)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f"{place.name}.part-", dir=place.parent, ignore_cleanup_errors=True
        ) as temporary:
            folder = pathlib.Path(temporary) / "kept"
            folder.mkdir()
            write(folder)
            files = {each.name: _hash_file(each) for each in sorted(folder.iterdir())}
            sealed = {"key": _plain(key), "facts": _plain(facts), "files": files}
            text = json.dumps({**sealed, "sha256": _digest(sealed)}, indent=2)
            (folder / _FACTS).write_text(text, encoding="ascii")
            _rename(folder, place, lambda: find_kept(kind, key) is not None)
    except OSError:
        return None
    return find_kept(kind, key)


def clear_parts(kind: str, key: Mapping[str, Any]) -> None:
    """Removes what processes that were killed have left of it. For who alone keeps it now."""
    place = _locate(kind, key)
    for dead in place.parent.glob(f"{place.name}.part-*"):
        shutil.rmtree(dead, ignore_errors=True)


def _rename(folder: pathlib.Path, place: pathlib.Path, is_whole: Callable[[], bool]) -> None:
    """Brings a folder to its place, unless another process was first."""
    try:
        folder.rename(place)
    except OSError:  # something is there
        if is_whole():
            return
        with contextlib.suppress(OSError):  # damaged, and perhaps replaced by another process now
            place.rename(folder.parent / "damaged")
        folder.rename(place)
    finally:
        shutil.rmtree(folder.parent / "damaged", ignore_errors=True)


def _locate(kind: str, key: Mapping[str, Any]) -> pathlib.Path:
    return find_cache() / f"{kind}-{_digest(key)}"


def _plain(values: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """As JSON gives it back: tuples are lists."""
    return json.loads(json.dumps(values))


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode("ascii")).hexdigest()


def _hash_file(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
