"""`ListImages` and `SpreadImages`: from what a job is given to refs, each once.

References to one image follow each other within a bundle: the stages behind read it, decode it and
predict it once.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from imgcls_beam.board import BOARD
from imgcls_beam.elements import Failure, ImageRef, TableCell
from imgcls_beam.errors import Stage
from imgcls_beam.listing import group_few, list_distinct, list_images, ref_of, uri_digest
from imgcls_beam.metrics import count_found, count_listed, count_passed_over
from imgcls_beam.options import InputOptions, to_input_options
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.upstream import Lists

LISTED, PASSED_OVER = "listed", "passed_over"

_CELLS_TOGETHER = 1024
"""Cells of a Parquet file that one worker reads: to begin in the middle of a row group costs
decoding all before it."""


@dataclasses.dataclass(eq=False)
class ListImages(beam.PTransform, Lists):
    """Folders, buckets, manifests and requests → `ImageRef | Failure`, each once.

    References that are equal in URI and attributes are one, with its `duplicates`. What `inputs`
    hold and a manifest names too is the manifest's. References to one image follow each other.

    What it passed over is counted; a sink finds the counts by itself.

    Attributes:
        options: what to list: a URL, several of them, or `InputOptions`.
        is_spread: whether the refs are spread over workers. A shuffle does that, and brings those
            to one image together; a runner that keeps its shuffle in memory holds every ref
            meanwhile. Without it one worker lists, groups on its disk, and goes on with all of
            them.
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
    """`ImageRef | Failure`, spread over the workers, each once.

    Cells of a table stay together: reading one means reading its neighbours.
    """

    def expand(self, listed: beam.PCollection) -> beam.PCollection:
        """Groups by URI, or by a block of cells."""
        return (
            listed
            | "Key" >> beam.Map(_key)
            | "Group" >> beam.GroupByKey()
            | "DropDuplicates" >> beam.FlatMap(_take_once)
        )


def list_counted(options: InputOptions) -> Iterator[Any]:
    """Lists everything; what was passed over comes last, as an output of its own."""
    passed_over = PassedOver()
    yield from list_images(options, passed_over)
    count_passed_over(passed_over)
    yield beam.pvalue.TaggedOutput(PASSED_OVER, passed_over)


def _list_once(options: InputOptions) -> Iterator[Any]:
    """Lists everything before it gives the first: so a terminal can say how much is left."""
    passed_over = PassedOver()
    listed = map(_count_listed, list_distinct(options, passed_over, count_found))
    with BOARD.held(Stage.LIST):
        first = list(itertools.islice(listed, 1))
    yield from itertools.chain(first, listed)
    count_passed_over(passed_over)
    yield beam.pvalue.TaggedOutput(PASSED_OVER, passed_over)


def _count_listed(listed: ImageRef | Failure) -> ImageRef | Failure:
    count_listed(1 + ref_of(listed).duplicates)
    return listed


def _key(listed: ImageRef | Failure) -> tuple[bytes, ImageRef | Failure]:
    ref = ref_of(listed)
    count_found(1 + ref.duplicates)
    if isinstance(ref.locator, TableCell):
        block = (ref.locator.row_group, ref.locator.row // _CELLS_TOGETHER)
        return uri_digest(f"{ref.object_uri}::{block}"), listed
    return uri_digest(ref.uri), listed


def _take_once(group: tuple[bytes, Iterable[ImageRef | Failure]]) -> Iterator[ImageRef | Failure]:
    """References to one image, or the cells of one block in the order of their rows."""
    listed = group[1]
    if isinstance(ref_of(next(iter(listed))).locator, TableCell):
        by_uri = collections.defaultdict(list)
        for cell in sorted(listed, key=_row_of):
            by_uri[ref_of(cell).uri].append(cell)
        return map(_count_listed, itertools.chain(*map(group_few, by_uri.values())))
    return map(_count_listed, group_few(listed))


def _row_of(listed: ImageRef | Failure) -> int:
    locator = ref_of(listed).locator
    return locator.row if isinstance(locator, TableCell) else 0
