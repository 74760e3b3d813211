"""A batch of images that is read as far as memory goes; the rest when it is asked for.

What is read ahead by all threads of a process shares one budget. Nobody waits for it: a thread for
which nothing is left reads no further ahead, and whoever asks for the next image has it read then.
So threads cannot wait for each other, and beyond the budget each has one image.

Of an object of unknown size, as a manifest names it, the first bytes are read. If there are more it
is looked up, and counted by its size. A cell of a table cannot be looked up: few are read at once.
"""

import concurrent.futures
import dataclasses
import functools
import itertools
import threading
from collections.abc import Iterator, Sequence

from imgcls_beam.board import BOARD
from imgcls_beam.byte_budget import ByteBudget
from imgcls_beam.elements import ByteSpan, EncodedImage, Failure, ImageRef, RequestLine, TableCell
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading.breaker import begin_or_give_up
from imgcls_beam.reading.gate import Gate
from imgcls_beam.reading.pinning import look_up_versions
from imgcls_beam.reading.ranges import Asking
from imgcls_beam.reading.shared_reads import Begun, Given, LateRead, find_object, give_to, wait_for

READING_BYTES = 256 << 20
"""Of a process, for what is read ahead."""
FIRST_BYTES = 512 << 10
"""Of an object of unknown size: what the web shows is smaller, and costs one request."""
CELL_BYTES = 4 << 20
"""What a cell is taken for: eight are read at once."""

_READING = ByteBudget(READING_BYTES)


@functools.cache
def _pool() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="imgcls-read-on")


@dataclasses.dataclass(slots=True, eq=False)
class _Entry:
    """One image of a batch.

    Attributes:
        given: as it was given.
        asked: as it is to be read: its size may have been looked up.
        needed_bytes: what it will take.
        is_first: whether no more than its first bytes are to be read.
        result: None as long as it is not read, and when it was given away.
        is_read: whether it was.
        held_bytes: what it takes, or will take where its result is to come.
    """

    given: Given
    asked: Given
    needed_bytes: int
    is_first: bool
    result: Begun | None = None
    is_read: bool = False
    held_bytes: int = 0


class BoundedReads:
    """What `begin_images` gives, in order, to be iterated once.

    Attributes:
        last: the last of all results, once it was read.
    """

    last: Begun | None = None

    def __init__(
        self,
        refs: Sequence[Given],
        options: ReadOptions,
        known: Sequence[Begun] = (),
        gate: Gate | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            refs: what is to be read.
            options: how; `batch_bytes` is what is read ahead at the most.
            known: results that come before them.
            gate: limits requests in flight, of other batches too; None: of this one alone.
        """
        self._entries = [
            *map(_make_known, known),
            *(_make_entry(each, options.max_bytes) for each in refs),
        ]
        self.last = None if refs or not known else known[-1]
        self._options, self._gate = options, gate or Gate(options.concurrency)
        self._lock = threading.Lock()
        self._held_bytes = 0
        self._reading: concurrent.futures.Future[None] | None = None

    def prefetch(self) -> None:
        """Reads on, until the batch's bytes, or those of the process, are used up."""
        while self._held_bytes < self._options.batch_bytes and (wave := self._choose_wave()):
            if not _READING.try_to_take(sum(each.needed_bytes for each in wave)):
                return
            self._read(wave)

    def __iter__(self) -> Iterator[Begun]:
        """The results; those that are not there yet are read.

        What is to come keeps its memory until it is released, or forgotten.
        """
        for entry in self._entries:
            if not entry.is_read:
                with BOARD.held(Stage.READ):
                    self._wait_for(entry)
            result, entry.result = entry.result, None
            assert result is not None
            if isinstance(result, LateRead):
                release = functools.partial(self._change_held, -entry.held_bytes)
                result = dataclasses.replace(result, release=release)
            else:
                self._change_held(-entry.held_bytes)
            if self._held_bytes <= self._options.batch_bytes // 2 and self._choose_wave():
                self._go_on()
            yield result

    def __del__(self) -> None:
        """Gives back what nobody asked for: of a bundle that failed."""
        self._change_held(-self._held_bytes)

    def _go_on(self) -> None:
        """Has the next ones read while those that are there are used."""
        if self._reading is not None:
            if not self._reading.done():
                return
            self._reading.result()  # what it raised may end the run
        self._reading = _pool().submit(self.prefetch)

    def _wait_for(self, entry: _Entry) -> None:
        """Waits for what is being read, and then reads: the next one in any case."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.result()
        while not entry.is_read:
            wave = self._choose_wave()
            if not _READING.try_to_take(sum(each.needed_bytes for each in wave)):
                wave = wave[:1]
                _READING.force(wave[0].needed_bytes)
            self._read(wave)

    def _choose_wave(self) -> list[_Entry]:
        """The next ones that are not read, as many as there is room for; one at least."""
        wave: list[_Entry] = []
        size_bytes = self._held_bytes
        for entry in self._entries:
            if entry.is_read:
                continue
            size_bytes += entry.needed_bytes
            is_much = size_bytes > self._options.batch_bytes
            if wave and (is_much or len(wave) == self._options.concurrency):
                break
            wave.append(entry)
        return wave

    def _read(self, wave: Sequence[_Entry]) -> None:
        """Reads a wave, whose bytes are taken already; large ones are left, with their sizes."""
        for entry in wave:
            entry.held_bytes = entry.needed_bytes
        with self._lock:
            self._held_bytes += sum(each.held_bytes for each in wave)
        for is_first in (True, False):
            if part := [each for each in wave if each.is_first is is_first]:
                self._read_part(part, is_first=is_first)
        for entry in wave:  # by what was read
            held_bytes = _count_held(entry)
            self._change_held(held_bytes - entry.held_bytes)
            entry.held_bytes, entry.is_read = held_bytes, entry.result is not None
        if large := [each for each in wave if not each.is_read]:
            _fill_sizes(large, self._options)
        if self._entries[-1] in wave:
            self.last = self._entries[-1].result

    def _read_part(self, part: Sequence[_Entry], *, is_first: bool) -> None:
        options = self._options
        if is_first:
            least = min(FIRST_BYTES, options.max_bytes)
            options = dataclasses.replace(options, max_bytes=least)
        begun = begin_or_give_up([each.asked for each in part], Asking(options, self._gate))
        for entry, result in zip(part, map(wait_for, begun) if is_first else begun, strict=True):
            is_more = isinstance(result, Failure) and result.code is FailureCode.TOO_MANY_BYTES
            if is_first and is_more and options.max_bytes < self._options.max_bytes:
                continue
            entry.result = result
            if isinstance(entry.given, ImageRef) and entry.asked is not entry.given:
                entry.result = give_to(entry.given, result)

    def _change_held(self, difference_bytes: int) -> None:
        with self._lock:
            self._held_bytes += difference_bytes
        if difference_bytes < 0:
            _READING.give_back(-difference_bytes)
        elif difference_bytes:
            _READING.force(difference_bytes)


def read_on(
    refs: Sequence[Given],
    options: ReadOptions,
    gate: Gate,
    last: "concurrent.futures.Future[BoundedReads] | None",
) -> BoundedReads:
    """Reads a batch; the last result of `last` is of the object that the batch goes on with."""
    result, same = last.result().last if last else None, []
    if result is not None:
        key = find_object(refs[0])
        same = list(itertools.takewhile(lambda ref: find_object(ref) == key, refs))
    shared = [give_to(ref, result) for ref in same if result and isinstance(ref, ImageRef)]
    reads = BoundedReads(refs[len(shared) :], options, shared, gate)
    reads.prefetch()
    return reads


def _count_held(entry: _Entry) -> int:
    """What a result takes, by what was read; one that is to come will take what it needs."""
    if isinstance(entry.result, LateRead):
        return entry.needed_bytes
    return len(entry.result.data) if isinstance(entry.result, EncodedImage) else 0


def _make_known(result: Begun) -> _Entry:
    return _Entry(result.ref, result.ref, 0, is_first=False, result=result, is_read=True)


def _make_entry(given: Given, max_bytes: int) -> _Entry:
    if not isinstance(given, ImageRef):
        return _Entry(given, given, 0, is_first=False)
    if isinstance(given.locator, TableCell):
        return _Entry(given, given, min(CELL_BYTES, max_bytes), is_first=False)
    if isinstance(given.locator, ByteSpan | RequestLine):
        stored_bytes = given.locator.end - given.locator.start
        return _Entry(given, given, max(stored_bytes, given.size_bytes or 0), is_first=False)
    if given.size_bytes is None:
        return _Entry(given, given, min(FIRST_BYTES, max_bytes), is_first=True)
    is_read = given.size_bytes <= max_bytes
    return _Entry(given, given, given.size_bytes if is_read else 0, is_first=False)


def _fill_sizes(entries: Sequence[_Entry], options: ReadOptions) -> None:
    """Looks up what is larger than the first bytes; what no store knows may be of any size."""
    refs = [each.given for each in entries if isinstance(each.given, ImageRef)]
    found = look_up_versions(refs, options)
    for entry, ref in zip(entries, found, strict=True):
        size_bytes = ref.size_bytes if isinstance(ref, ImageRef) else None
        entry.needed_bytes, entry.is_first = size_bytes or options.max_bytes, False
        if isinstance(entry.given, ImageRef):
            entry.asked = dataclasses.replace(entry.given, size_bytes=size_bytes)
