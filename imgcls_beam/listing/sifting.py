"""Which of the files that a folder or a glob finds are taken, and why the others are not."""

import dataclasses
from collections.abc import Iterable, Iterator

from imgcls_beam.listing.walking import UNLISTABLE
from imgcls_beam.passed_over import PassedOver, Reason
from imgcls_beam.stores import Info
from imgcls_beam.suffixes import IMAGE_SUFFIXES

_HIDDEN_NAMES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
_HIDDEN_FOLDERS = frozenset({"__macosx", ".appledouble", ".spotlight-v100", ".fseventsd"})
_STAGING = "staging/"
_APPLE_DOUBLE = "._"
"""Begins a file in which macOS keeps what a disk of another kind cannot: it is named as an image is
and holds none."""


def is_hidden(path: str) -> bool:
    """Whether a path, relative to what was asked for, is of what systems leave among images."""
    *folders, name = path.split("/")
    if name.startswith(_APPLE_DOUBLE) or name.lower() in _HIDDEN_NAMES:
        return True
    return any(folder.lower() in _HIDDEN_FOLDERS for folder in folders)


@dataclasses.dataclass(frozen=True, slots=True)
class Sieve:
    """Takes files, and counts what it does not take.

    Attributes:
        suffixes: of what is taken, in small letters; empty takes every suffix.
        passed_over: where the others are counted.
        own_output: paths of the job's own output as their store spells them: folders end in a
            slash. What lies in `…staging/` is not published yet, and not counted either.
    """

    suffixes: tuple[str, ...] = ()
    passed_over: PassedOver = dataclasses.field(default_factory=PassedOver)
    own_output: tuple[str, ...] = ()

    def sift(self, found: Iterable[Info], root: str) -> Iterator[Info]:
        """Gives the files that are taken; what is hidden is so below the root."""
        below = root.rstrip("/") + "/"
        for info in found:
            reason = self._find_reason(info, str(info["name"]).removeprefix(below))
            if reason is None:
                yield info
            elif reason is not Reason.OWN_OUTPUT or not self._is_staged(info["name"]):
                self.passed_over.add(reason, info["name"])

    def _find_reason(self, info: Info, path: str) -> Reason | None:
        if info["type"] == UNLISTABLE:
            return None
        if info["type"] != "file":
            return Reason(info["type"])
        name = info["name"].lower()
        if self._is_own(info["name"]) and not name.endswith(IMAGE_SUFFIXES):
            return Reason.OWN_OUTPUT
        if is_hidden(path):
            return Reason.HIDDEN
        return None if name.endswith(self.suffixes or ("",)) else Reason.SUFFIX

    def _is_staged(self, path: str) -> bool:
        return any(path.startswith(own) for own in self.own_output if own.endswith(_STAGING))

    def _is_own(self, path: str) -> bool:
        """Whether it is where the job writes; images are never written, so those are others'."""
        return any(
            path.startswith(own) if own.endswith("/") else path == own for own in self.own_output
        )
