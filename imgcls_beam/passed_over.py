"""What a listing passed over: files that it saw and does not take, counted by reason and suffix.

The counts of several listings are added up. They stay small whatever a bucket holds: the most
frequent suffixes have a count of their own, all others share one.
"""

import collections
import enum
from collections.abc import Iterable, Mapping
from typing import Any

WRITTEN = 100
"""Suffixes that the record names; more are counted together."""
_KEPT, _SHOWN = 1000, 8
_SUFFIX_CHARS = 16
_PACKED = (".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
_OTHER = "other"
"""In place of a suffix: all those that have no count of their own."""


class Reason(enum.StrEnum):
    """Why something is passed over; the values are words of the run record."""

    SUFFIX = "suffix"
    HIDDEN = "hidden"
    OWN_OUTPUT = "own_output"
    LINKED_AGAIN = "linked_again"
    BROKEN_LINK = "broken_link"
    LINK = "link"
    SPECIAL = "special"


_IN_WORDS = {
    Reason.HIDDEN: "hidden (._*, .DS_Store, __MACOSX, Thumbs.db)",
    Reason.OWN_OUTPUT: "own output",
    Reason.LINKED_AGAIN: "linked folders that are listed already",
    Reason.BROKEN_LINK: "links that lead nowhere",
    Reason.LINK: "links in archives or stores",
    Reason.SPECIAL: "pipes, sockets or devices",
}


class PassedOver:
    """Counts by reason and suffix. A suffix is in small letters, and empty for a name without."""

    def __init__(self, counts: Mapping[tuple[Reason, str], int] | None = None) -> None:
        """Begins with these counts, or none."""
        self._counts = collections.Counter(counts or {})

    def add(self, reason: Reason, name: str) -> None:
        """Counts one file, link or folder, by its name or path."""
        key = reason, find_suffix(name)
        if key not in self._counts and len(self._counts) >= _KEPT:
            key = reason, _OTHER
        self._counts[key] += 1

    def __len__(self) -> int:
        """How many were passed over."""
        return self._counts.total()

    def __eq__(self, other: object) -> bool:
        """Whether the counts are equal."""
        return isinstance(other, PassedOver) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]  # it is a counter

    def describe(self) -> str:
        """In a sentence: `7 .txt, 3 hidden (._*, …), 12 own output`; empty for nothing."""
        reasons: collections.Counter[Reason] = collections.Counter()
        for (reason, _), count in self._counts.items():
            reasons[reason] += count
        parts = _describe_suffixes(
            {suffix: n for (reason, suffix), n in self._counts.items() if reason is Reason.SUFFIX}
        )
        parts += [f"{reasons[each]:,} {_IN_WORDS[each]}" for each in _IN_WORDS if reasons[each]]
        return ", ".join(parts)

    def to_json(self) -> list[dict[str, Any]]:
        """A JSON array: the most frequent first, ties by name."""
        ordered = _fold(self._counts, WRITTEN)
        return [
            {"reason": reason.value, "suffix": suffix, "count": count}
            for (reason, suffix), count in _order(ordered)
        ]

    @classmethod
    def from_json(cls, found: Iterable[Mapping[str, Any]]) -> "PassedOver":
        """Parses what `to_json` gives.

        Raises:
            KeyError: something of it is missing.
            ValueError: a reason that there is not.
        """
        return cls({(Reason(each["reason"]), each["suffix"]): each["count"] for each in found})


def merge_passed_over(several: Iterable[PassedOver]) -> PassedOver:
    """Adds counts up; none at all give none."""
    total: collections.Counter[tuple[Reason, str]] = collections.Counter()
    for each in several:
        total.update(each._counts)
        total = _fold(total, _KEPT)
    return PassedOver(total)


def find_suffix(name: str) -> str:
    """What a name ends in, from its last dot on, in small letters; empty where that is no suffix.

    `.tar.gz` and the like are one suffix. What is longer, or has odd characters, is none: it is a
    part of the name.
    """
    last = name.rstrip("/").rpartition("/")[2].lower()
    packed = next((each for each in _PACKED if last.endswith(each)), None)
    stem, _, end = last.rpartition(".")
    if packed is None and not (stem and end.isalnum() and len(end) < _SUFFIX_CHARS):
        return ""
    return packed or f".{end}"


def _fold(
    counts: collections.Counter[tuple[Reason, str]], kept: int
) -> collections.Counter[tuple[Reason, str]]:
    """The counts, the least frequent ones of each reason together where there are too many."""
    if len(counts) <= kept:
        return counts
    found: collections.Counter[tuple[Reason, str]] = collections.Counter()
    for index, ((reason, suffix), count) in enumerate(_order(counts)):
        found[reason, suffix if index < kept else _OTHER] += count
    return found


def _order(
    counts: collections.Counter[tuple[Reason, str]],
) -> list[tuple[tuple[Reason, str], int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _describe_suffixes(counts: Mapping[str, int]) -> list[str]:
    named = {suffix: count for suffix, count in counts.items() if suffix not in ("", _OTHER)}
    ordered = sorted(named.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count:,} {suffix}" for suffix, count in ordered[:_SHOWN]]
    if counts.get(""):
        parts.append(f"{counts['']:,} without a suffix")
    rest = sum(count for _, count in ordered[_SHOWN:]) + counts.get(_OTHER, 0)
    return parts + ([f"{rest:,} of other suffixes"] if rest else [])
