"""Outcomes → one file of JSON lines, staged beside it and moved to its place as a whole.

::

    FILE                                   there once every line of the run is in it
    FILE.staging/<attempt>/fragment-…      a bundle's lines; gone once the file is published

A line is `{"id": …, "image_uri": …, "response": […]}`, or has `error` in the place of `response`.
Every staged file has a name of its own, so a bundle that runs twice writes two; only the one that
the runner committed is reported. Nothing here knows of Beam.
"""

import contextlib
import dataclasses
import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import IO, Any

from imgcls_beam.elements import Failure, Outcome
from imgcls_beam.errors import ConfigError, PublishError
from imgcls_beam.sinks import store
from imgcls_beam.sinks.layout import join
from imgcls_beam.spec import to_response
from imgcls_beam.stores import open_store

_CHUNK_BYTES = 1 << 20
# What UTF-8 does not have, and what JSON lets stand but other readers take for the end of a line.
_UNFIT = re.compile("[\ud800-\udfff\x85\u2028\u2029]")


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


def encode_line(outcome: Outcome) -> bytes:
    """One outcome as one line of JSON in UTF-8, with its line end.

    `id` stands in it where the request had one, of its own type. Scores are written with as many
    digits as give the same float64 again.
    """
    ref = outcome.ref
    line: dict[str, Any] = {} if ref.request_id is None else {"id": ref.request_id}
    line["image_uri"] = ref.uri
    if isinstance(outcome, Failure):
        error = {"stage": outcome.stage, "code": outcome.code, "message": outcome.message}
        line["error"] = error
    else:
        line["response"] = to_response(outcome.labels)
    text = json.dumps(line, ensure_ascii=False, allow_nan=False)
    return _UNFIT.sub(_fit, text).encode() + b"\n"


def _fit(match: re.Match[str]) -> str:
    code = ord(match.group())
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def locate_staging(url: str, attempt: str = "") -> str:
    """The folder of one attempt at a file, or of all of them."""
    root = f"{url}.staging"
    return join(root, attempt) if attempt else root


def check_jsonl_free(url: str) -> None:
    """Looks whether the file can be written; leaves nothing behind.

    Raises:
        ConfigError: something stands there, or no file can be written beside it.
    """
    opened, path = open_store("output_jsonl", url)
    with store.refuse_unwritable("output_jsonl", url):
        if url.endswith("/") or opened.exists(path):
            problem = "it is there already, and is never overwritten; name another file"
            raise ConfigError("output_jsonl", url, problem)
        store.try_folder(locate_staging(url))


def clear_jsonl(url: str, attempt: str) -> None:
    """Removes what one attempt staged; the file itself is left, or left out, as it is."""
    store.remove_folder(locate_staging(url, attempt))
    store.prune(locate_staging(url))


class LineWriter:
    """Streams one bundle's lines into one staged file; it is opened by the first of them."""

    def __init__(self, staging: str) -> None:
        """Chooses the file's name; by their names, files stand in the order of their beginning."""
        self._path = join(staging, f"fragment-{time.time_ns():020d}-{uuid.uuid4().hex}")
        self._target: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self._lines = self._size_bytes = 0

    def write(self, outcome: Outcome) -> None:
        """Adds a line; the file is closed and removed if that fails."""
        try:
            if self._target is None:
                self._target = store.open_new(self._path)
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
                store.remove_files([self._path])


def publish_lines(fragments: Sequence[JsonlFile], listed: int, url: str, attempt: str) -> JsonlFile:
    """Merges staged files in the order of their beginning, and moves the result to its place.

    A runner may call this again after it failed at any point, or after its answer was lost.

    Args:
        fragments: the files that the runner committed, in any order.
        listed: how many images were listed.
        url: the file.
        attempt: names the staging folder.

    Raises:
        PublishError: the lines are not as many as the images, a staged file is not what was
            written, or another file stands there. What stands there is left as it is.
    """
    pieces = sorted(fragments, key=lambda piece: piece.path)
    lines = sum(piece.lines for piece in pieces)
    if lines != listed:
        problem = f"listed {listed} images, but {lines} lines"
        raise PublishError(f"{url} was not published: {problem}")
    with store.hold_lock(join(locate_staging(url), "lock")):
        if store.find_size(url) is None:
            sha256 = _merge(pieces, join(locate_staging(url, attempt), "merged"), url)
        else:
            sha256 = _recognise(pieces, url)
    store.remove_folder(locate_staging(url))  # what dead attempts left, too
    return JsonlFile(url, lines, sum(piece.size_bytes for piece in pieces), sha256)


def _merge(pieces: Sequence[JsonlFile], merged: str, url: str) -> str:
    """Merges staged files and moves the result to its place; gives its SHA-256."""
    with store.open_new(merged) as target:
        for piece in pieces:
            with store.open_existing(piece.path) as source:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
    sha256 = _match(pieces, merged)
    if sha256 is None:
        raise PublishError(f"{url} was not published: a staged file is not what was written")
    try:
        store.move_new_file(merged, url)
    except FileExistsError:
        return _recognise(pieces, url)
    return sha256


def _recognise(pieces: Sequence[JsonlFile], url: str) -> str:
    """SHA-256 of the file that stands there, if it is this one: an earlier try has moved it."""
    sha256 = _match(pieces, url)
    if sha256 is None:
        problem = "another file stands there; it was left as it is"
        raise PublishError(f"{url} was not published: {problem}")
    return sha256


def _match(pieces: Sequence[JsonlFile], url: str) -> str | None:
    """SHA-256 of a file that is these pieces one after the other; None where it is not."""
    whole = hashlib.sha256()
    with store.open_existing(url) as source:
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
