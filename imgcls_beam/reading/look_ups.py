"""The versions of images that were named and not listed: a manifest does not say them."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.pinning import look_up
from imgcls_beam.reading.store_groups import open_stores
from imgcls_beam.stores import facts_of

TOGETHER = 256
"""Objects that are asked for at once."""


def fill_versions(
    listed: Iterable[ImageRef | Failure], options: ReadOptions
) -> Iterator[ImageRef | Failure]:
    """Gives each ref with the version that its store has of it now, in order."""
    rest = iter(listed)
    while batch := list(itertools.islice(rest, TOGETHER)):
        yield from look_up_versions(batch, options)


def look_up_versions(
    listed: Sequence[ImageRef | Failure], options: ReadOptions
) -> list[ImageRef | Failure]:
    """Asks the stores for what has no version yet; what they do not know stays without.

    Whoever reads such an image will find out why, and say so in its row.
    """
    found = list(listed)
    unknown = [
        (index, each)
        for index, each in enumerate(listed)
        if isinstance(each, ImageRef) and each.version is None and each.locator is None
    ]
    for indices, store, paths in open_stores([ref for _, ref in unknown], options):
        if isinstance(store, ImageError):
            continue
        for index, info in zip(indices, look_up(store, paths), strict=True):
            if not isinstance(info, BaseException):
                position, ref = unknown[index]
                found[position] = dataclasses.replace(ref, **facts_of(info))
    return found
