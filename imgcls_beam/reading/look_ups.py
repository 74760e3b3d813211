"""The versions of images that were named and not listed: a manifest does not say them."""

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

from imgcls_beam.checks import scheme_of
from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ImageError
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.objects import open_object
from imgcls_beam.reading.pinning import look_up
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
    unknown: dict[str, list[tuple[int, ImageRef]]] = collections.defaultdict(list)
    for index, each in enumerate(listed):
        if isinstance(each, ImageRef) and each.version is None and each.locator is None:
            unknown[scheme_of(each.uri)].append((index, each))
    for pairs in unknown.values():
        indices, refs = zip(*pairs, strict=True)
        for index, ref in zip(indices, _look_up(refs, options), strict=True):
            found[index] = ref
    return found


def _look_up(refs: Sequence[ImageRef], options: ReadOptions) -> list[ImageRef]:
    """Refs of one scheme."""
    try:
        store, _ = open_object(refs[0].uri, options)
    except ImageError:
        return list(refs)
    infos = look_up(store, [store._strip_protocol(ref.uri) for ref in refs])
    return [
        ref if isinstance(info, BaseException) else dataclasses.replace(ref, **facts_of(info))
        for ref, info in zip(refs, infos, strict=True)
    ]
