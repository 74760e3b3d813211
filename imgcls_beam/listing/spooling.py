"""A long stream put on disk, so that all of it was seen before its first element is used."""

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from typing import TypeVar

ElementT = TypeVar("ElementT")


def spool(elements: Iterable[ElementT]) -> Iterator[ElementT]:
    """Takes every element, then gives them again in order; memory holds one at a time.

    The temporary file is gone when the iterator is.
    """
    with tempfile.TemporaryFile(prefix="imgcls-") as file:
        count = 0
        for element in elements:
            pickle.dump(element, file, pickle.HIGHEST_PROTOCOL)
            count += 1
        file.seek(0)
        for _ in range(count):
            yield pickle.load(file)
