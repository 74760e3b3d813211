"""What a job would list, counted; and some of it, drawn at random.

The listing goes by once: its counts stay small whatever it holds, and what is drawn is a reservoir.
"""

import collections
import dataclasses
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from imgcls_beam.elements import Failure, ImageRef, Skipped
from imgcls_beam.listing import Listed, list_distinct
from imgcls_beam.options import JobOptions
from imgcls_beam.passed_over import PassedOver, find_suffix
from imgcls_beam.scoring import Scoring
from imgcls_beam.selecting import select_on_disk
from imgcls_beam.sinks import Selection

DRAWN_IMAGES = 32

_SEED = 0
_KEPT_SUFFIXES = 1000
_OTHER = "other"
"""In place of a suffix: all those that have no count of their own."""


@dataclasses.dataclass(slots=True)
class SuffixCount:
    """Images whose names end alike.

    Attributes:
        images: how many.
        size_bytes: of those whose size the listing says, together.
        unsized: how many have no size there.
    """

    images: int = 0
    size_bytes: int = 0
    unsized: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """What a job would list.

    Attributes:
        references: that would have a row of a model's, good or bad.
        images: distinct ones among them.
        failures: what names no image, by `stage: code`; each is among the references.
        scored: references of which a published run has a good row; None where that was not asked.
        skipped: those among them that the job leaves out.
        duplicates: references beside them that are equal to one of them.
        suffixes: of the images, the most frequent first.
        passed_over: what the listing saw beside images.
        drawn: some of the images, at random, in the order of the listing.
        elapsed_s: how long the listing took.
    """

    references: int
    images: int
    failures: Mapping[str, int]
    scored: int | None
    skipped: int
    duplicates: int
    suffixes: Mapping[str, SuffixCount]
    passed_over: PassedOver
    drawn: tuple[ImageRef, ...]
    elapsed_s: float

    @property
    def size_bytes(self) -> int:
        """Of the images whose size is known."""
        return sum(each.size_bytes for each in self.suffixes.values())

    @property
    def unsized(self) -> int:
        """How many images have no size in the listing."""
        return sum(each.unsized for each in self.suffixes.values())


def count_listing(
    job: JobOptions,
    scoring: Scoring,
    drawn: int = DRAWN_IMAGES,
    clock_s: Callable[[], float] = time.perf_counter,
) -> Listing:
    """Lists what a job would list, and selects as it would; memory does not grow with it.

    Args:
        job: what is to be run.
        scoring: its model, and what is asked of it.
        drawn: how many images to draw.
        clock_s: times the listing, in seconds.

    Raises:
        ConfigError: a source or the history cannot be read.
        PublishError: the job would double a row.
    """
    start_s, passed_over = clock_s(), PassedOver()
    selection = Selection.of_run(job.output, scoring)
    history = selection or _make_history(job, scoring)
    if history is None:
        found: Iterable[Listed | Skipped] = list_distinct(job.input, passed_over)
    else:
        found = select_on_disk(job.input, history, job.read, passed_over)
    tally = _Tally(drawn, leaves_out=selection is not None)
    for each in found:
        tally.add(each)
    is_asked = history is not None and history.only == "new"
    return tally.sum_up(passed_over, is_asked, clock_s() - start_s)


def _make_history(job: JobOptions, scoring: Scoring) -> Selection | None:
    """What tells which images are scored already, though the job looks at all of them.

    None where that would cost more than the listing: a manifest's images would each be asked for
    their version, and under a limit all would be listed.
    """
    has_rows = job.output.output is not None or job.output.table is not None
    if not has_rows or job.input.manifest is not None or job.input.limit is not None:
        return None
    return Selection.of_run(dataclasses.replace(job.output, only="new"), scoring)


class _Tally:
    """Counts what goes by."""

    def __init__(self, drawn: int, *, leaves_out: bool) -> None:
        self._leaves_out = leaves_out
        self._reservoir = Reservoir(drawn)
        self._counts: collections.Counter[str] = collections.Counter()
        self._failures: collections.Counter[str] = collections.Counter()
        self._suffixes: dict[str, SuffixCount] = {}
        self._last_uri: str | None = None

    def add(self, each: Listed | Skipped) -> None:
        ref = each if isinstance(each, ImageRef) else each.ref
        self._counts["duplicates"] += ref.duplicates
        self._counts["scored"] += isinstance(each, Skipped)
        if isinstance(each, Skipped) and self._leaves_out:
            self._counts["skipped"] += 1
            return
        self._counts["references"] += 1
        if isinstance(each, Failure):
            self._failures[f"{each.stage}: {each.code}"] += 1
        elif ref.uri != self._last_uri:  # references to one image follow each other
            self._last_uri = ref.uri
            self._add_image(ref)

    def _add_image(self, ref: ImageRef) -> None:
        self._counts["images"] += 1
        self._reservoir.add(ref)
        suffix = find_suffix(ref.uri)
        if suffix not in self._suffixes and len(self._suffixes) >= _KEPT_SUFFIXES:
            suffix = _OTHER
        found = self._suffixes.setdefault(suffix, SuffixCount())
        found.images += 1
        found.size_bytes += ref.size_bytes or 0
        found.unsized += ref.size_bytes is None

    def sum_up(self, passed_over: PassedOver, is_scored_known: bool, elapsed_s: float) -> Listing:
        ordered = sorted(self._suffixes.items(), key=lambda item: (-item[1].images, item[0]))
        return Listing(
            references=self._counts["references"],
            images=self._counts["images"],
            failures=dict(self._failures.most_common()),
            scored=self._counts["scored"] if is_scored_known else None,
            skipped=self._counts["skipped"],
            duplicates=self._counts["duplicates"],
            suffixes=dict(ordered),
            passed_over=passed_over,
            drawn=tuple(self._reservoir),
            elapsed_s=elapsed_s,
        )


class Reservoir:
    """So many of a stream of unknown length, each with the same chance: Vitter's algorithm R.

    The same stream gives the same ones.
    """

    def __init__(self, size: int, seed: int = _SEED) -> None:
        """Takes how many to keep."""
        self._size, self._seen = size, 0
        self._random = random.Random(seed)
        self._kept: list[tuple[int, ImageRef]] = []

    def add(self, ref: ImageRef) -> None:
        """Takes what comes next."""
        if len(self._kept) < self._size:
            self._kept.append((self._seen, ref))
        elif (index := self._random.randrange(self._seen + 1)) < self._size:
            self._kept[index] = self._seen, ref
        self._seen += 1

    def __iter__(self) -> Iterator[ImageRef]:
        """What was kept, in the order of the stream."""
        return (ref for _, ref in sorted(self._kept, key=lambda item: item[0]))
