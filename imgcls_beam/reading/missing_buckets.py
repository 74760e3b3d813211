"""Objects that are not there, of a bucket that is not there either.

GCS says the same of both, so it is asked for the bucket: once in a process. S3 says which it is.
"""

import collections
import threading
from collections.abc import Sequence

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.ranges import patience_of
from imgcls_beam.stores import STORE_NAMES, FaultKind, find_bucket, kind_of, split_url

_NO_BUCKET = "there is no such bucket"
_BUCKETS = 1024
"""Are remembered: a manifest may name one in each line."""


class KnownBuckets:
    """Which buckets are there; the threads of a process share it."""

    def __init__(self) -> None:
        """Knows none."""
        self._lock = threading.Lock()
        self._known: collections.OrderedDict[str, bool] = collections.OrderedDict()

    def is_missing(self, uri: str, options: ReadOptions) -> bool:
        """Whether the bucket of an object is known not to be there; its store may be asked."""
        bucket = split_url(uri)[1]
        with self._lock:
            is_there = self._known.get(bucket)
        if is_there is None:
            is_there = find_bucket(uri, patience_of(options))
        if is_there is None:  # it does not say now
            return False
        with self._lock:
            self._known[bucket] = is_there
            if len(self._known) > _BUCKETS:
                self._known.popitem(last=False)
        return not is_there

    def forget(self) -> None:
        """Knows none again."""
        with self._lock:
            self._known.clear()


KNOWN_BUCKETS = KnownBuckets()
"""Of this process."""


def tell_missing_buckets(
    refs: Sequence[ImageRef], answers: Sequence[bytes | BaseException], options: ReadOptions
) -> list[bytes | BaseException]:
    """The answers; where an object is missing because its bucket is, that is said."""
    return [
        ImageError(FailureCode.NOT_FOUND, _NO_BUCKET)
        if _may_lack_bucket(ref, answer) and KNOWN_BUCKETS.is_missing(ref.object_uri, options)
        else answer
        for ref, answer in zip(refs, answers, strict=True)
    ]


def _may_lack_bucket(ref: ImageRef, answer: bytes | BaseException) -> bool:
    if isinstance(answer, bytes | ImageError):
        return False
    is_gcs = STORE_NAMES.get(split_url(ref.object_uri)[0]) == "gs"
    return is_gcs and kind_of(answer) is FaultKind.NO_OBJECT
