"""Outcomes → one file of JSON lines, staged beside it and moved to its place as a whole.

::

    FILE                                there once every line of the run is in it
    FILE.staging/<session>/lines-…      a bundle's lines; gone once the file is published

Every staged file has a name of its own, so a bundle that runs twice writes two; only the one that
the runner committed is reported. Nothing here knows of Beam.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from imgcls_beam.elements import Outcome
from imgcls_beam.errors import ConfigError, PublishError
from imgcls_beam.lines import encode_line
from imgcls_beam.sinks.session import STALE
from imgcls_beam.stores import file_operations, join, open_store
from imgcls_beam.stores.disk_lock import hold_lock

_CHUNK_BYTES = 1 << 20
_OWN = re.compile(r"[0-9a-f]{32}/(lines-[0-9a-f-]+|merged)")
"""Names of our own files below `FILE.staging/`."""


@dataclasses.dataclass(frozen=True, slots=True)
class JsonlFile:
    """One complete file of lines.

    Attributes:
        path: where it lies.
        lines: how many there are in it.
        size_bytes: its length.
        sha256: of its bytes, 64 hex digits.
    """

    path: str
    lines: int
    size_bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class JsonlSession:
    """One start of a program that writes a file of lines.

    Attributes:
        url: the file.
        session_id: unique to one start of the program.
        made: folders that it has to make, deepest first.
    """

    url: str
    session_id: str
    made: tuple[str, ...] = ()

    @property
    def staging_root(self) -> str:
        """The staging folders of all sessions of this file."""
        return f"{self.url}.staging"

    @property
    def staging(self) -> str:
        """The staging folder of this one."""
        return join(self.staging_root, self.session_id)

    @property
    def lock(self) -> str:
        """Held on local disks while the file is published."""
        return join(self.staging_root, ".lock")


def begin_jsonl(url: str, session_id: str) -> JsonlSession:
    """Begins a session; a runner may call it again.

    Raises:
        ConfigError: the file is there already, or no file can be written beside it.
    """
    check_jsonl_free(url)
    sweep_jsonl(url)
    made = file_operations.find_missing_folders(JsonlSession(url, session_id).staging)
    return JsonlSession(url, session_id, tuple(made))


def check_jsonl_free(url: str) -> None:
    """Looks whether the file can be written; leaves nothing behind.

    Raises:
        ConfigError: the file is there already, or no file can be written beside it.
    """
    opened, path = open_store("output_jsonl", url)
    with file_operations.refuse_unwritable("output_jsonl", url):
        if url.endswith("/") or opened.exists(path):
            problem = "it is there already, and is never overwritten; name another file"
            raise ConfigError("output_jsonl", url, problem)
        file_operations.try_folder(JsonlSession(url, "").staging_root)


def abandon_jsonl(session: JsonlSession) -> None:
    """Removes what a session staged; the file, where it is published, stays."""
    _remove(session, lambda each: each == session.session_id)
    file_operations.prune(*session.made)


def sweep_jsonl(url: str, now: datetime.datetime | None = None) -> None:
    """Removes what sessions of this file staged that have staged nothing for `STALE`.

    Args:
        url: the file.
        now: for tests.
    """
    oldest = (now or datetime.datetime.now(datetime.UTC)) - STALE

    def is_stale(session_id: str) -> bool:
        written_at = file_operations.find_last_write(JsonlSession(url, session_id).staging)
        return written_at is not None and written_at < oldest

    _remove(JsonlSession(url, ""), is_stale)


def _remove(session: JsonlSession, is_over: Callable[[str], bool]) -> None:
    """Removes files of sessions of this file; files that are not ours by name stay."""
    root = session.staging_root
    names = list(filter(_OWN.fullmatch, file_operations.list_names(root)))
    over = {each for each in {name.partition("/")[0] for name in names} if is_over(each)}
    gone = [name for name in names if name.partition("/")[0] in over]
    file_operations.remove_files([join(root, name) for name in gone])
    file_operations.prune(*(join(root, each) for each in {*over, session.session_id}), root)


class LineWriter:
    """Streams one bundle's lines into one staged file; it is opened by the first of them."""

    def __init__(self, staging: str) -> None:
        """Chooses the file's name; by their names, files are in the order of their beginning."""
        self._path = join(staging, f"lines-{time.time_ns():020d}-{uuid.uuid4().hex}")
        self._target: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self._lines = self._size_bytes = 0

    def write(self, outcome: Outcome) -> None:
        """Adds a line; the file is closed and removed if that fails."""
        try:
            if self._target is None:
                self._target = file_operations.open_new(self._path)
            line = encode_line(outcome)
            self._target.write(line)
        except BaseException:
            self.discard()
            raise
        self._digest.update(line)
        self._lines += 1
        self._size_bytes += len(line)

    def close(self) -> JsonlFile | None:
        """Completes the file; None where no line was written."""
        if self._target is None:
            return None
        try:
            self._target.close()
        except BaseException:
            self.discard()
            raise
        self._target = None  # complete: no longer ours to discard
        return JsonlFile(self._path, self._lines, self._size_bytes, self._digest.hexdigest())

    def discard(self) -> None:
        """Drops what was written. What cannot be removed is left: nothing refers to it."""
        target, self._target = self._target, None
        if target is not None:
            with contextlib.suppress(OSError):
                target.close()
            with contextlib.suppress(OSError):
                file_operations.remove_files([self._path])


def commit_jsonl(staged: Sequence[JsonlFile], listed: int, session: JsonlSession) -> JsonlFile:
    """Merges staged files in the order of their beginning, and moves the result to its place.

    A runner may call this again after it failed at any point, or after its answer was lost.

    Args:
        staged: the files that the runner committed, in any order.
        listed: how many images were listed.
        session: as it was begun.

    Raises:
        PublishError: the lines are not as many as the images, a staged file is not what was
            written, or another file is there, which is left as it is.
    """
    url = session.url
    pieces = sorted(staged, key=lambda piece: piece.path)
    lines = sum(piece.lines for piece in pieces)
    if lines != listed:
        raise _make_error(url, f"listed {listed} images, but {lines} lines")
    with hold_lock(session.lock):
        if file_operations.find_size(url) is None:
            sha256 = _merge(pieces, join(session.staging, "merged"), url)
        else:
            sha256 = _recognise(pieces, url)
    # The file is never overwritten, so whatever other sessions have staged for it is of no use.
    _remove(session, lambda _: True)
    return JsonlFile(url, lines, sum(piece.size_bytes for piece in pieces), sha256)


def _merge(pieces: Sequence[JsonlFile], merged: str, url: str) -> str:
    """Merges staged files and moves the result to its place; gives its SHA-256."""
    with file_operations.open_new(merged) as target:
        for piece in pieces:
            with file_operations.open_existing(piece.path) as source:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
    sha256 = _match(pieces, merged)
    if sha256 is None:
        raise _make_error(url, "a staged file is not what was written")
    folder = url.rpartition("/")[0] or "."
    file_operations.sync(folder, [merged])
    try:
        file_operations.move_new_file(merged, url)
    except FileExistsError:
        return _recognise(pieces, url)
    file_operations.sync(folder, [url])
    return sha256


def _recognise(pieces: Sequence[JsonlFile], url: str) -> str:
    """SHA-256 of the file that is there, if it is this one: an earlier try has moved it."""
    sha256 = _match(pieces, url)
    if sha256 is None:
        raise _make_error(url, "another file is there; it was left as it is")
    return sha256


def _make_error(url: str, problem: str) -> PublishError:
    return PublishError(f"{url} was not published: {problem}")


def _match(pieces: Sequence[JsonlFile], url: str) -> str | None:
    """SHA-256 of a file that is these pieces one after the other; None where it is not."""
    whole = hashlib.sha256()
    with file_operations.open_existing(url) as source:
        for piece in pieces:
            digest = hashlib.sha256()
            for chunk in _read_piece(source, piece.size_bytes):
                digest.update(chunk)
                whole.update(chunk)
            if digest.hexdigest() != piece.sha256:
                return None
        return None if source.read(1) else whole.hexdigest()


def _read_piece(source: IO[bytes], size_bytes: int) -> Iterator[bytes]:
    while size_bytes and (chunk := source.read(min(size_bytes, _CHUNK_BYTES))):
        size_bytes -= len(chunk)
        yield chunk
