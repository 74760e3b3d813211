"""Outcomes → one file of JSON lines, staged beside it and moved to its place as a whole.

::

    FILE                                there once every line of the run is in it
    FILE.staging/<session>/lines-…      a bundle's lines; gone once the file is published

Every staged file has a name of its own, so a bundle that runs twice writes two; only the one that
the runner committed is reported. Lines of requests are sorted when staged files become one, since a
runner may have spread them. Nothing here knows of Beam.
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
from imgcls_beam.sinks.leftovers import STALE
from imgcls_beam.sinks.line_order import sort_lines
from imgcls_beam.sinks.staged_lines import LinesSum, StagedLines, add_digests, read_lines
from imgcls_beam.stores.folder import Folder
from imgcls_beam.stores.local_folder import remove_empty
from imgcls_beam.stores.opening import open_parent

_SPOILED = "a staged file is not what was written"
_OWN = re.compile(r"[0-9a-f]{32}/(lines-[0-9a-f-]+|merged)")
"""Names of our own files below `FILE.staging/`."""


@dataclasses.dataclass(frozen=True, slots=True)
class JsonlFile:
    """One complete file of lines.

    Attributes:
        path: or URL, where it lies.
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
        folder: in which the file lies; all other paths are relative to it.
        name: of the file.
        session_id: unique to one start of the program.
        made: local folders that it has to make, deepest first.
    """

    folder: Folder
    name: str
    session_id: str
    made: tuple[str, ...] = ()

    @classmethod
    def of_url(cls, url: str, session_id: str) -> "JsonlSession":
        """The session of a file, of which nothing has been looked at yet.

        Raises:
            ConfigError: nothing that is installed reads its scheme, or its host does not answer.
        """
        return cls(*open_parent("output_jsonl", url), session_id)

    @property
    def url(self) -> str:
        """The file's path or URL."""
        return self.folder.url_of(self.name)

    @property
    def staging_root(self) -> str:
        """The staging folders of all sessions of this file."""
        return f"{self.name}.staging"

    @property
    def staging(self) -> str:
        """The staging folder of this one."""
        return f"{self.staging_root}/{self.session_id}"

    @property
    def lock(self) -> str:
        """Held on local disks while the file is published."""
        return f"{self.staging_root}/.lock"

    def find_missing_folders(self) -> list[str]:
        """Local folders that it has to make, deepest first."""
        return self.folder.find_missing_folders(self.staging)


def begin_jsonl(url: str, session_id: str) -> JsonlSession:
    """Begins a session; a runner may call it again.

    Raises:
        ConfigError: the file is there already, or no file can be written beside it.
    """
    check_jsonl_free(url)
    session = JsonlSession.of_url(url, session_id)
    sweep_jsonl(session)
    return dataclasses.replace(session, made=tuple(session.find_missing_folders()))


def check_jsonl_new(url: str) -> None:
    """Looks whether the file is there already; writes nothing.

    Raises:
        ConfigError: it is there.
    """
    session = JsonlSession.of_url(url, "")
    with session.folder.refuse_unwritable():
        if not session.name or session.folder.find_size(session.name) is not None:
            problem = "it is there already, and is never overwritten; name another file"
            raise ConfigError("output_jsonl", url, problem)


def check_jsonl_free(url: str) -> None:
    """Looks whether the file can be written; leaves nothing behind.

    Raises:
        ConfigError: the file is there already, or no file can be written beside it.
    """
    check_jsonl_new(url)
    session = JsonlSession.of_url(url, "")
    session.folder.check_writable(session.staging_root)


def abandon_jsonl(session: JsonlSession) -> None:
    """Removes what a session staged; the file, where it is published, stays."""
    _remove(session, lambda each: each == session.session_id)
    remove_empty(*session.made)


def sweep_jsonl(session: JsonlSession, now: datetime.datetime | None = None) -> None:
    """Removes what sessions of this file staged that have staged nothing for `STALE`.

    Args:
        session: any of this file.
        now: for tests.
    """
    oldest = (now or datetime.datetime.now(datetime.UTC)) - STALE
    stale = session.folder.list_folders(session.staging_root, unwritten_since=oldest)
    _remove(session, stale.__contains__)


def _remove(session: JsonlSession, is_over: Callable[[str], bool]) -> None:
    """Removes files of sessions of this file; files that are not ours by name stay."""
    folder, root = session.folder, session.staging_root
    names = list(filter(_OWN.fullmatch, folder.list_names(root)))
    over = {each for each in {name.partition("/")[0] for name in names} if is_over(each)}
    folder.remove(*(f"{root}/{name}" for name in names if name.partition("/")[0] in over))
    folder.prune(*(f"{root}/{each}" for each in over), session.staging, root)


class LineWriter:
    """Streams one bundle's lines into one staged file; it is opened by the first of them."""

    def __init__(self, session: JsonlSession) -> None:
        """Chooses the file's name; by their names, files are in the order of their beginning."""
        self._folder = session.folder
        self._path = f"{session.staging}/lines-{time.time_ns():020d}-{uuid.uuid4().hex}"
        self._target: IO[bytes] | None = None
        self._sum = LinesSum()

    def write(self, outcome: Outcome) -> None:
        """Adds a line; the file is closed and removed if that fails."""
        try:
            if self._target is None:
                self._target = self._folder.open_new(self._path)
            line = encode_line(outcome)
            self._target.write(line)
        except BaseException:
            self.discard()
            raise
        self._sum.add(line)

    def close(self) -> StagedLines | None:
        """Completes the file; None where no line was written."""
        if self._target is None:
            return None
        try:
            self._target.close()
        except BaseException:
            self.discard()
            raise
        self._target = None  # complete: no longer ours to discard
        return StagedLines(self._path, self._sum.lines, self._sum.size_bytes, self._sum.digest)

    def discard(self) -> None:
        """Drops what was written. What cannot be removed is left: nothing refers to it."""
        target, self._target = self._target, None
        if target is not None:
            with contextlib.suppress(OSError):
                target.close()
            with contextlib.suppress(OSError):
                self._folder.remove(self._path)


def commit_jsonl(staged: Sequence[StagedLines], listed: int, session: JsonlSession) -> JsonlFile:
    """Merges staged files and moves the result to its place.

    Lines of requests, and of whatever is numbered within an object, come in the order of objects
    and numbers; before them all others, bundle after bundle. A runner may call this again after it
    failed at any point, or after its answer was lost.

    Args:
        staged: the files that the runner committed, in any order.
        listed: how many images were listed.
        session: as it was begun.

    Raises:
        PublishError: the lines are not as many as the images, a staged file is not what was
            written, or another file is there, which is left as it is.
    """
    folder, name = session.folder, session.name
    pieces = sorted(staged, key=lambda piece: piece.path)
    lines = sum(piece.lines for piece in pieces)
    if lines != listed:
        raise _make_error(session, f"listed {listed} images, but {lines} lines")
    with folder.hold_lock(session.lock):
        publish = _merge if folder.find_size(name) is None else _recognise
        sha256 = publish(pieces, session)
    # The file is never overwritten, so whatever other sessions have staged for it is of no use.
    _remove(session, lambda _: True)
    return JsonlFile(session.url, lines, sum(piece.size_bytes for piece in pieces), sha256)


def _merge(pieces: Sequence[StagedLines], session: JsonlSession) -> str:
    """Merges staged files and moves the result to its place; gives its SHA-256."""
    folder, name, merged = session.folder, session.name, f"{session.staging}/merged"
    with folder.open_new(merged) as target:
        for line in sort_lines(_read_pieces(pieces, session)):
            target.write(line)
    sha256 = _match(pieces, folder, merged)
    if sha256 is None:
        raise _make_error(session, _SPOILED)
    folder.sync(merged)
    try:
        folder.move_new(merged, name)
    except FileExistsError:
        return _recognise(pieces, session)
    folder.sync(name)
    return sha256


def _read_pieces(pieces: Sequence[StagedLines], session: JsonlSession) -> Iterator[bytes]:
    for piece in pieces:
        found = LinesSum()
        with session.folder.open_existing(piece.path) as source:
            for line in read_lines(source):
                found.add(line)
                yield line
        if (found.lines, found.digest) != (piece.lines, piece.digest):
            raise _make_error(session, _SPOILED)


def _recognise(pieces: Sequence[StagedLines], session: JsonlSession) -> str:
    """SHA-256 of the file that is there, if it is this one: an earlier try has moved it."""
    sha256 = _match(pieces, session.folder, session.name)
    if sha256 is None:
        raise _make_error(session, "another file is there; it was left as it is")
    return sha256


def _make_error(session: JsonlSession, problem: str) -> PublishError:
    return PublishError(f"{session.url} was not published: {problem}")


def _match(pieces: Sequence[StagedLines], folder: Folder, name: str) -> str | None:
    """SHA-256 of a file that has the lines of these pieces; None where it has others."""
    whole, found = hashlib.sha256(), LinesSum()
    with folder.open_existing(name) as source:
        for line in read_lines(source):
            whole.update(line)
            found.add(line)
    is_same = found.digest == add_digests(piece.digest for piece in pieces)
    return whole.hexdigest() if is_same else None
