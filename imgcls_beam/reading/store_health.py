"""Whether a store answers others lately, while one of its objects fails.

Then the fault is this request's, most likely: it was lost, or one server of many refused it, and
another one will be answered. Where the store answers hardly anybody, each try again is one more
that it cannot bear, and it takes time to come back.
"""

import collections
import threading
from collections.abc import Sequence

from imgcls_beam.reading.shared_reads import Result
from imgcls_beam.reading.try_objects import is_passing
from imgcls_beam.stores import split_url

_WEIGHT = 1 / 16
"""Of the latest answer or fault in the mean."""
_ANSWERING_RATIO = 1 / 3
"""Of requests. A store that answers seven in ten is seldom below it by chance, and the faults of
the last object of a run, after which nobody else is asked for, take the mean below it after eleven
tries; below a half after five. One that answers nobody any more is below it after seventeen."""
_STORES = 1024
"""Are remembered: a manifest may name a host of the web in each line."""

_LOCAL = "file:"
"""A disk loses no requests, and names of its files cost more to look at than this."""

_Name = tuple[str, str]
"""Scheme and authority: a bucket, or a host of the web; they share a client, and fail apart."""


class StoreHealth:
    """How requests to each bucket and host went lately; the threads of a process share it.

    That is a mean, in which the last sixteen weigh most: of 1 for an answer, a refusal too, and 0
    for a fault that looks passing.
    """

    def __init__(self) -> None:
        """Knows no store."""
        self._lock = threading.Lock()
        self._means: collections.OrderedDict[_Name, float] = collections.OrderedDict()

    def note(self, results: Sequence[Result]) -> None:
        """Notes what became of one try of some objects."""
        with self._lock:
            for result in results:
                if result.ref.uri.startswith(_LOCAL):
                    continue
                name = _name_of(result)
                mean = self._means.pop(name, 0.0)
                self._means[name] = mean + _WEIGHT * ((not is_passing(result)) - mean)
            while len(self._means) > _STORES:
                self._means.popitem(last=False)

    def answers(self, result: Result) -> bool:
        """Whether the store of this result answers others; one that is not known does not."""
        with self._lock:
            return self._means.get(_name_of(result), 0.0) >= _ANSWERING_RATIO

    def forget(self) -> None:
        """Knows no store again."""
        with self._lock:
            self._means.clear()


STORE_HEALTH = StoreHealth()
"""Of this process."""


def _name_of(result: Result) -> _Name:
    return split_url(result.ref.object_uri)[:2]
