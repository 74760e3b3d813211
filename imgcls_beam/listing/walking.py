"""What lies below a folder of a disk, or of a store without pages: name by name, in order.

A folder's names are in memory at once. Links to files are what they lead to. Links to folders are
followed where a pattern names each level; else each folder is listed once, under its own name where
it has one below the folder that was asked for: links wait until all others are done.
"""

import collections
import functools
import math
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence

from fsspec import AbstractFileSystem

from imgcls_beam.listing.on_disk import Distinct
from imgcls_beam.passed_over import Reason
from imgcls_beam.stores import Info, ask, is_local, is_passing, iterate_waits

_TRIES, _FIRST_WAIT_S = 5, 0.5
"""Of a listing of one folder, with some 8 s of waits; buckets have a patience of their own."""

FOLDER = "directory"
"""fsspec's word. Beside it and `file`, an info is of the type of a `Reason` to pass it over."""

UNLISTABLE = "unlistable"
"""The type of a folder that cannot be listed; what says why is its `fault`."""


def walk(store: AbstractFileSystem, folder: str, depth: float = math.inf) -> Iterator[Info]:
    """Lists what is below a folder, and below its own folders down to a depth; 0 for none of them.

    Yields:
        What the store says of a file; what is no file and not followed, with a `Reason` as its
        type; and a folder below this one that is `UNLISTABLE`, with the fault.
    """
    if not is_local(store):
        yield from _walk_store(store, folder, depth)
    elif depth < math.inf:
        yield from _walk_down(folder, depth)
    else:
        yield from _walk_once(folder)


def walk_matching(folder: str, names: Sequence[re.Pattern[str]]) -> Iterator[Info]:
    """Lists what is below folders of a disk, by patterns for the names of each level; see `walk`.

    Each folder that the patterns lead to is walked by itself.
    """
    if not names:
        yield from _walk_once(folder)
        return
    for info in _list_disk(folder):
        if info["type"] == FOLDER and names[0].match(os.path.basename(info["name"])):
            yield from _find_fault(info["name"], walk_matching(info["name"], names[1:]))


def _walk_store(store: AbstractFileSystem, folder: str, depth: float) -> Iterator[Info]:
    for info in _list_store(store, folder):
        if info["type"] != FOLDER:
            yield info
        elif depth > 0:
            name = info["name"]
            yield from _find_fault(name, _walk_store(store, name, depth - 1))


def _walk_down(folder: str, depth: float) -> Iterator[Info]:
    for info in _list_disk(folder):
        if info["type"] != FOLDER:
            yield info
        elif depth > 0:
            yield from _find_fault(info["name"], _walk_down(info["name"], depth - 1))


def _walk_once(folder: str) -> Iterator[Info]:
    """Lists each folder once, whatever links lead to it."""
    links = collections.deque[str]()
    with Distinct() as seen:
        yield from _walk_new(folder, seen, links)
        while links:
            link = links.popleft()
            yield from _find_fault(link, _walk_new(link, seen, links))


def _walk_new(link: str, seen: Distinct, links: collections.deque[str]) -> Iterator[Info]:
    if _is_new(link, seen):
        yield from _walk_tree(link, seen, links)
    else:
        yield {"name": link, "type": Reason.LINKED_AGAIN}


def _walk_tree(folder: str, seen: Distinct, links: collections.deque[str]) -> Iterator[Info]:
    """Lists a folder and its own folders; links among them wait."""
    for info in _list_disk(folder):
        if info["type"] != FOLDER:
            yield info
        elif info["islink"]:
            links.append(info["name"])
        elif _is_new(info["name"], seen):  # a link that was followed may have led here
            yield from _find_fault(info["name"], _walk_tree(info["name"], seen, links))


def _find_fault(folder: str, found: Iterator[Info]) -> Iterator[Info]:
    """What was found in a folder; or the folder itself, with the fault, where it is not listed."""
    first = ask(functools.partial(next, found, None))  # here the folder is listed
    if isinstance(first, Exception):
        yield {"name": folder, "type": UNLISTABLE, "fault": first}
    elif first is not None:
        yield first
        yield from found


def _is_new(folder: str, seen: Distinct) -> bool:
    """Whether a folder was not listed yet; it counts as listed from now on."""
    found = os.stat(folder)
    return seen.add(f"{found.st_dev}:{found.st_ino}".encode())


def _list_disk(folder: str) -> Iterator[Info]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        is_link = entry.is_symlink()
        if entry.is_dir(follow_symlinks=False):
            yield {"name": entry.path, "type": FOLDER, "islink": False}
            continue
        try:
            seen = os.stat(entry.path)
        except OSError:  # it leads nowhere, or round, or was removed since
            yield {"name": entry.path, "type": Reason.BROKEN_LINK}
            continue
        if stat.S_ISDIR(seen.st_mode):
            yield {"name": entry.path, "type": FOLDER, "islink": is_link}
        elif stat.S_ISREG(seen.st_mode):
            size_bytes, mtime = seen.st_size, seen.st_mtime
            yield {"name": entry.path, "type": "file", "size": size_bytes, "mtime": mtime}
        else:
            yield {"name": entry.path, "type": Reason.SPECIAL}


def _list_store(store: AbstractFileSystem, folder: str) -> Iterator[Info]:
    listed = _ask_again(functools.partial(store.ls, folder, detail=True))
    for info in sorted(listed, key=lambda found: str(found["name"])):
        # Some stores list a folder among its own content, as an object of no bytes.
        if info["type"] == FOLDER and str(info["name"]).rstrip("/") == folder.rstrip("/"):
            continue
        if info["type"] == "file" or (info["type"] == FOLDER and not info.get("islink")):
            yield info
        else:
            is_link = info["type"] in (FOLDER, "link")
            yield {"name": info["name"], "type": Reason.LINK if is_link else Reason.SPECIAL}


def _ask_again(question: Callable[[], Sequence[Info]]) -> Sequence[Info]:
    """Asks a store whose client may try only once; again while its fault looks passing."""
    waits = iterate_waits(_TRIES, _FIRST_WAIT_S, math.inf)
    while isinstance(answer := ask(question), Exception):
        wait_s = next(waits, None) if is_passing(answer) else None
        if wait_s is None:
            raise answer
        time.sleep(wait_s)
    return answer
