"""References to one image beside each other, and equal ones as one.

::

    listed ─┬─▶ first of its image ─▶ spool ─┐
            ├─▶ other of its image ─▶ others ┴▶ merge ─▶ listed, image by image
            └─▶ equal to one of them ─▶ counted

What stands beside each other is read and predicted once by the stages behind. Memory holds none of
it: a manifest may have a million lines, and all of them may name one image.
"""

import contextlib
import dataclasses
import itertools
import pathlib
import pickle
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.listing.on_disk import spool, uri_digest
from imgcls_beam.listing.reference_keys import is_bare, ref_of, reference_digest

Listed = ImageRef | Failure

_KEPT_IMAGES = 1 << 14
"""In memory, about 4 MB: most listings end before it, and need no file for their images."""
_KEPT_TOGETHER = 1024
_CACHE_KIB = 16 << 10
# One transaction that is never committed: the tables are worth nothing after this.
_MAKE = f"""
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;
PRAGMA cache_size=-{_CACHE_KIB};
CREATE TABLE images (image BLOB PRIMARY KEY, number INTEGER, reference BLOB) WITHOUT ROWID;
CREATE TABLE copies (number INTEGER PRIMARY KEY, copies INTEGER);
CREATE TABLE others (
  first INTEGER, reference BLOB, number INTEGER, copies INTEGER, listed BLOB,
  PRIMARY KEY (first, reference)) WITHOUT ROWID;
CREATE INDEX in_order ON others (first, number);
BEGIN
"""
_ADD_IMAGE = "INSERT OR IGNORE INTO images VALUES (?, ?, ?)"
_TAKE_IMAGE = "SELECT number, reference FROM images WHERE image = ?"
_ADD_COPIES = """
INSERT INTO copies VALUES (?1, ?2) ON CONFLICT (number) DO UPDATE SET copies = copies + ?2
"""
_GIVE_COPIES = "SELECT number, copies, NULL FROM copies ORDER BY number"
_ADD_OTHER = "INSERT OR IGNORE INTO others VALUES (?, ?, ?, 0, ?)"
_ADD_OTHERS_COPIES = "UPDATE others SET copies = copies + ? WHERE first = ? AND reference = ?"
_GIVE_OTHERS = "SELECT first, copies, listed FROM others ORDER BY first, number"

_First = tuple[int, bytes]
"""The number of an image, and the digest of its first reference."""


def group_references(
    listed: Iterable[Listed],
    limit: int | None = None,
    count: Callable[[], object] = lambda: None,
) -> Iterator[Listed]:
    """Takes every reference, then gives each once; those to one image follow each other.

    A bare reference that comes after one that carries something is no other one: what a manifest
    says of an image counts, wherever else the image is found.

    Args:
        listed: a manifest's lines before what folders hold.
        limit: at most so many references; what follows them is not taken.
        count: called for each that is taken, while they are.

    Yields:
        What was listed, images in the order of their first reference, with `duplicates`.
    """
    with _Groups(limit) as groups:
        yield from groups.give(spool(groups.take_firsts(listed, count)))


def group_few(listed: Iterable[Listed]) -> Iterator[Listed]:
    """Gives references of one image, each once; bare ones may come in any order.

    Args:
        listed: may be gone through twice, and may be more than memory holds.
    """
    few = list(itertools.islice(listed, _KEPT_TOGETHER + 1))
    if len(few) <= _KEPT_TOGETHER:
        yield from _group_in_memory(few)
        return
    carrying = (each for each in listed if not is_bare(ref_of(each)))
    bare = (each for each in listed if is_bare(ref_of(each)))
    yield from group_references(itertools.chain(carrying, bare))


def _group_in_memory(few: Sequence[Listed]) -> Iterator[Listed]:
    if len(few) == 1:
        yield few[0]
        return
    found: dict[bytes, list[Listed]] = {}
    for each in sorted(few, key=lambda listed: is_bare(ref_of(listed))):
        ref = ref_of(each)
        digest = next(iter(found)) if found and is_bare(ref) else reference_digest(ref)
        found.setdefault(digest, []).append(each)
    for equal in found.values():
        yield _add_duplicates(equal[0], sum(map(_copies_of, equal[1:])))


def _copies_of(listed: Listed) -> int:
    return 1 + ref_of(listed).duplicates


def _add_duplicates(listed: Listed, duplicates: int) -> Listed:
    if not duplicates:
        return listed
    ref = ref_of(listed)
    counted = dataclasses.replace(ref, duplicates=ref.duplicates + duplicates)
    return dataclasses.replace(listed, ref=counted) if isinstance(listed, Failure) else counted


class _InOrder:
    """Rows of a table that begin with a number, taken number by number."""

    def __init__(self, rows: Iterator[tuple[int, int, bytes]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def take(self, number: int) -> Iterator[tuple[int, bytes]]:
        """What the rows of the next number hold, if that is this one."""
        while self._next is not None and self._next[0] == number:
            yield self._next[1:]
            self._next = next(self._rows, None)


class _Groups(contextlib.ExitStack):
    """Images by their first references; a context manager, whose files are gone when it is left."""

    def __init__(self, limit: int | None) -> None:
        super().__init__()
        self._limit = limit
        self._kept: dict[bytes, _First] = {}
        self._disk: sqlite3.Connection | None = None
        self._firsts = self._others = 0

    def take_firsts(
        self, listed: Iterable[Listed], count: Callable[[], object]
    ) -> Iterator[Listed]:
        """Takes references up to the limit; gives those that are the first of their image."""
        for each in listed:
            count()
            ref = ref_of(each)
            reference = reference_digest(ref)
            first = self._find_first(uri_digest(ref.uri), reference)
            if first is None:
                yield each
            elif is_bare(ref) or first[1] == reference:
                self._add_copies(first[0], _copies_of(each))
            else:
                self._add_other(first[0], reference, each)
            if self._firsts + self._others == self._limit:
                return

    def give(self, firsts: Iterable[Listed]) -> Iterator[Listed]:
        """All references, image by image; the first references come in their order."""
        copies = others = _InOrder(iter(()))
        for number, first in enumerate(firsts):
            if number == 0 and self._disk is not None:
                copies = _InOrder(self._disk.execute(_GIVE_COPIES))
                others = _InOrder(self._disk.execute(_GIVE_OTHERS))
            yield _add_duplicates(first, sum(count for count, _ in copies.take(number)))
            for count, other in others.take(number):
                yield _add_duplicates(pickle.loads(other), count)

    def _find_first(self, image: bytes, reference: bytes) -> _First | None:
        """The first reference to an image; None where this is it, from now on."""
        if image in self._kept:
            return self._kept[image]
        number = self._firsts
        if number < _KEPT_IMAGES:
            self._kept[image] = number, reference
        else:
            disk = self._open()
            if disk.execute(_ADD_IMAGE, (image, number, reference)).rowcount == 0:
                found: _First = disk.execute(_TAKE_IMAGE, (image,)).fetchone()
                return found
        self._firsts += 1
        return None

    def _add_copies(self, number: int, copies: int) -> None:
        self._open().execute(_ADD_COPIES, (number, copies))

    def _add_other(self, number: int, reference: bytes, other: Listed) -> None:
        element = pickle.dumps(other, pickle.HIGHEST_PROTOCOL)
        added = number, reference, self._others, element
        disk = self._open()
        if disk.execute(_ADD_OTHER, added).rowcount:
            self._others += 1
        else:
            disk.execute(_ADD_OTHERS_COPIES, (_copies_of(other), number, reference))

    def _open(self) -> sqlite3.Connection:
        if self._disk is None:
            temporary = tempfile.TemporaryDirectory(prefix="imgcls-", ignore_cleanup_errors=True)
            path = pathlib.Path(self.enter_context(temporary)) / "references"
            # A generator may be closed by another thread than the one that began it.
            self._disk = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.callback(self._disk.close)
            self._disk.executescript(_MAKE)
        return self._disk
