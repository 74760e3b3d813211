"""How soon a store answers lately: what others were answered tells how to ask for one that failed.

Where a store answers others at once, the fault is this request's, most likely: it was lost, or one
server of many refused it, and another one will be answered. Where a store is slow, whoever gives up
early never gets an answer. Where it answers hardly anybody, each try again is one more that it
cannot bear, and it takes time to come back.
"""

import collections
import threading

from imgcls_beam.stores import split_url

PROMPT_S = 1.0
"""A bucket that answers at all nearly always has by then, so no more silence is borne at first."""

_WEIGHT = 1 / 16
"""Of the latest request in the mean, once there were sixteen."""
_PROMPT_RATIO = 1 / 3
"""Of requests. A store that answers seven in ten is seldom below it by chance, and the faults of
the last object of a run, after which nobody else is asked for, take the mean below it after eleven
tries; below a half after five. One that answers nobody any more is below it after seventeen."""
_STORES = 1024
"""Are remembered: a manifest may name a host of the web in each line."""

_Name = tuple[str, str]
"""Scheme and authority: a bucket, or a host of the web; they share a client, and fail apart."""


class StoreHealth:
    """How requests to each bucket and host went lately; the threads of a process share it.

    That is a mean, in which the last sixteen weigh most: of 1 for an answer, a refusal too, that
    was there within `PROMPT_S`, and 0 for a later one and for a fault that looks passing.
    """

    def __init__(self) -> None:
        """Knows no store."""
        self._lock = threading.Lock()
        self._means: collections.OrderedDict[_Name, tuple[float, int]] = collections.OrderedDict()

    def note(self, uri: str, *, is_prompt: bool) -> None:
        """Notes what became of a request for an object."""
        name = _name_of(uri)
        with self._lock:
            mean, requests = self._means.pop(name, (0.0, 0))
            weight = max(_WEIGHT, 1 / (requests + 1))
            self._means[name] = mean + weight * (is_prompt - mean), requests + 1
            if len(self._means) > _STORES:
                self._means.popitem(last=False)

    def knows(self, uri: str) -> bool:
        """Whether the store of this object was asked for anything."""
        with self._lock:
            return _name_of(uri) in self._means

    def is_prompt(self, uri: str) -> bool:
        """Whether the store of this object answers others at once; an unknown one does not."""
        with self._lock:
            mean, _ = self._means.get(_name_of(uri), (0.0, 0))
            return mean >= _PROMPT_RATIO

    def forget(self) -> None:
        """Knows no store again."""
        with self._lock:
            self._means.clear()


STORE_HEALTH = StoreHealth()
"""Of this process."""


def _name_of(uri: str) -> _Name:
    return split_url(uri)[:2]
