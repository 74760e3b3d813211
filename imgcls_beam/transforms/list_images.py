"""`ListImages` and `SpreadImages`: from what a job is given to refs, each URI once."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from imgcls_beam.elements import Failure, ImageRef, TableCell
from imgcls_beam.listing import list_distinct, list_images, spool, uri_digest
from imgcls_beam.metrics import count_found, count_listed
from imgcls_beam.options import InputOptions, to_input_options
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.upstream import Lists

LISTED, PASSED_OVER = "listed", "passed_over"

_CELLS_TOGETHER = 1024
"""Cells of a Parquet file that one worker reads: to begin in the middle of a row group costs
decoding all before it."""


@dataclasses.dataclass(eq=False)
class ListImages(beam.PTransform, Lists):
    """Folders, buckets, manifests and requests → `ImageRef | Failure`, each URI once.

    What it passed over is counted; a sink finds the counts by itself.

    Attributes:
        options: what to list: a URL, several of them, or `InputOptions`.
        is_spread: whether the refs are spread over workers. A shuffle does that, and drops the
            duplicates; a runner that keeps its shuffle in memory holds every ref meanwhile.
            Without it one worker lists, drops duplicates on its disk, and goes on with all of them.
    """

    options: str | Sequence[str] | InputOptions
    is_spread: bool = True

    def __post_init__(self) -> None:
        """Raises `ConfigError` for what is no input, or a URL that is not allowed."""
        super().__init__()
        self.options = to_input_options(self.options)

    def expand(self, pbegin: beam.Pipeline) -> beam.PCollection:
        """Lists in one worker."""
        inputs = pbegin | "Inputs" >> beam.Create([self.options])
        label, list_them = ("List", list_counted) if self.is_spread else ("ListOnce", _list_once)
        found = inputs | label >> beam.FlatMap(list_them).with_outputs(PASSED_OVER, main=LISTED)
        self.passed_over = found[PASSED_OVER]
        return found[LISTED] | "Spread" >> SpreadImages() if self.is_spread else found[LISTED]


@dataclasses.dataclass(eq=False)
class SpreadImages(beam.PTransform):
    """`ImageRef | Failure`, spread over the workers, each URI once.

    Cells of a table stay together: reading one means reading its neighbours.
    """

    def expand(self, listed: beam.PCollection) -> beam.PCollection:
        """Groups by URI, or by a block of cells."""
        return (
            listed
            | "Key" >> beam.Map(_key)
            | "Group" >> beam.GroupByKey()
            | "DropDuplicates" >> beam.FlatMap(_take_distinct)
        )


def list_counted(options: InputOptions) -> Iterator[Any]:
    """Lists everything; what was passed over comes last, as an output of its own."""
    passed_over = PassedOver()
    yield from list_images(options, passed_over)
    yield beam.pvalue.TaggedOutput(PASSED_OVER, passed_over)


def _list_once(options: InputOptions) -> Iterator[Any]:
    """Lists everything before it gives the first: so a terminal can say how much is left."""
    passed_over = PassedOver()
    yield from spool(map(_count_distinct, list_distinct(options, passed_over)))
    yield beam.pvalue.TaggedOutput(PASSED_OVER, passed_over)


def _count_distinct(listed: ImageRef | Failure) -> ImageRef | Failure:
    count_found()
    count_listed(1)
    return listed


def _key(listed: ImageRef | Failure) -> tuple[bytes, ImageRef | Failure]:
    count_found()
    ref = listed.ref if isinstance(listed, Failure) else listed
    if isinstance(ref.locator, TableCell):
        block = (ref.locator.row_group, ref.locator.row // _CELLS_TOGETHER)
        return uri_digest(f"{ref.object_uri}::{block}"), listed
    return uri_digest(ref.uri), listed


def _take_distinct(
    group: tuple[bytes, Iterable[ImageRef | Failure]],
) -> Iterator[ImageRef | Failure]:
    found: dict[str, ImageRef | Failure] = {}
    copies: collections.Counter[str] = collections.Counter()
    for listed in group[1]:
        ref = listed.ref if isinstance(listed, Failure) else listed
        found.setdefault(ref.uri, listed)
        copies[ref.uri] += 1
    for uri in sorted(found, key=lambda uri: _row_of(found[uri])):
        count_listed(copies[uri])
        yield found[uri]


def _row_of(listed: ImageRef | Failure) -> int:
    locator = listed.locator if isinstance(listed, ImageRef) else None
    return locator.row if isinstance(locator, TableCell) else 0
