"""Prefetching inside a bundle: the next images are read and decoded while the model works.

In a fused stage the model's DoFn holds the thread while it computes. So the DoFns that read and
decode hand their elements to a pool, and emit the results in order once enough others are under
way. Only objects that are asked for again come later than those beside them.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import apache_beam as beam
from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam.board import BOARD
from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import Stage
from imgcls_beam.late_queue import LateQueue
from imgcls_beam.metrics import count_prepared, count_read
from imgcls_beam.options import DecodeOptions, Dedupe, ReadOptions
from imgcls_beam.preparing import (
    Prepared,
    Preparer,
    SharedPixels,
    load_preparer,
)
from imgcls_beam.reading import (
    Begun,
    BoundedReads,
    Gate,
    LateRead,
    ObjectKey,
    find_object,
    read_on,
)
from imgcls_beam.sandbox import box_pool, prepare_in_box, start_box
from imgcls_beam.scoring import ModelSource

_ResultT = TypeVar("_ResultT")

_Reading = concurrent.futures.Future[BoundedReads]

_PREFETCHED_IMAGES = 48
_PREFETCHED_BYTES = 96 << 20
_BATCHES = 16
"""Read at once where the oldest has an object that keeps it waiting."""
_LATE_BATCHES = 4
"""As many objects as these have may be asked for again at once."""
_GRACE_S = 0.2
"""What a batch takes at most where nothing is wrong; on a local disk 2 ms."""


@dataclasses.dataclass(slots=True)
class _Task(Generic[_ResultT]):
    future: concurrent.futures.Future[Any]
    origins: list[WindowedValue]
    size_bytes: int


class PrefetchQueue(Generic[_ResultT]):
    """What is under way in one bundle, oldest first; not shared between threads."""

    def __init__(
        self, stage: Stage, max_elements: int, max_bytes: int, most_elements: int = 0
    ) -> None:
        """Limits what is under way, in bytes as the caller counts them; one task always is.

        Args:
            stage: to which a wait for a result is put down.
            max_elements: under way at once.
            max_bytes: under way at once.
            most_elements: under way at once while the oldest task takes long; where it does not,
                `max_elements`, so that no more is read ahead than can be used.
        """
        self._stage = stage
        self._max_elements = max_elements
        self._max_bytes = max_bytes
        self._most_elements = most_elements
        self._tasks: collections.deque[_Task[_ResultT]] = collections.deque()
        self._elements = self._size_bytes = 0

    def add(
        self,
        future: "concurrent.futures.Future[Any]",
        origins: list[WindowedValue],
        size_bytes: int,
    ) -> None:
        """Takes on a task that gives an iterable: one result for each of its origins, in order."""
        self._tasks.append(_Task(future, origins, size_bytes))
        self._elements += len(origins)
        self._size_bytes += size_bytes

    def take_due(self) -> Iterator[WindowedValue]:
        """The oldest results, until what is left is within the limits; waits for them."""
        while len(self._tasks) > 1 and self._is_over():
            yield from self._take_first()

    def take_all(self) -> Iterator[WindowedValue]:
        """Everything, at the end of a bundle."""
        while self._tasks:
            yield from self._take_first()

    def clear(self) -> None:
        """Forgets what a failed bundle left."""
        for task in self._tasks:
            task.future.cancel()
        self._tasks.clear()
        self._elements = self._size_bytes = 0

    def _is_over(self) -> bool:
        if self._size_bytes > self._max_bytes:
            return True
        if self._elements <= self._max_elements:
            return False
        return self._elements > self._most_elements or self._is_done_soon(self._tasks[0].future)

    def _is_done_soon(self, future: "concurrent.futures.Future[Any]") -> bool:
        with contextlib.nullcontext() if future.done() else BOARD.held(self._stage):
            concurrent.futures.wait([future], _GRACE_S)
        return future.done()

    def _take_first(self) -> Iterator[WindowedValue]:
        task = self._tasks.popleft()
        self._elements -= len(task.origins)
        self._size_bytes -= task.size_bytes
        for origin, result in zip(task.origins, self._wait(task.future), strict=True):
            yield origin.with_value(result)

    def _wait(self, future: "concurrent.futures.Future[Any]") -> Iterable[_ResultT]:
        with contextlib.nullcontext() if future.done() else BOARD.held(self._stage):
            results: Iterable[_ResultT] = future.result()
        return results


class ReadDoFn(beam.DoFn):
    """Gathers refs into batches; a thread reads one batch while the one before is consumed.

    Where one takes long, more are read meanwhile: as many as `batch_bytes` has room for, by no more
    requests than two batches have. Where a batch goes on with the object that the one before ended
    with, it is not read again.
    """

    def __init__(self, options: ReadOptions) -> None:
        self._options = options

    def setup(self) -> None:
        at_once = self._options.concurrency
        self._pool = concurrent.futures.ThreadPoolExecutor(
            _BATCHES, thread_name_prefix="imgcls-read"
        )
        self._gate = Gate(2 * at_once)
        self._prefetched: PrefetchQueue[Begun] = PrefetchQueue(
            Stage.READ, at_once, self._options.batch_bytes, _BATCHES * at_once
        )
        self._late = LateQueue(_LATE_BATCHES * at_once)

    def start_bundle(self) -> None:
        self._prefetched.clear()  # of a bundle that failed further down, which nobody told us
        self._late.clear()
        self._batch: list[WindowedValue] = []
        self._batch_bytes = 0
        self._last: tuple[ObjectKey | None, _Reading | None] = None, None

    def process(
        self,
        ref: ImageRef | EncodedImage | Failure | str,
        timestamp: Any = beam.DoFn.TimestampParam,  # noqa: ANN401  Beam's parameters
        window: Any = beam.DoFn.WindowParam,  # noqa: ANN401
    ) -> Iterator[WindowedValue]:
        if isinstance(ref, str):
            ref = ImageRef(uri=ref)
        self._batch.append(WindowedValue(ref, timestamp, (window,)))
        self._batch_bytes += _count_bytes(ref)
        if self._is_full():
            self._submit()
            yield from self._give_on(self._prefetched.take_due())
            yield from map(_count_read, self._late.take_due())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._batch:
            self._submit()
        yield from self._give_on(self._prefetched.take_all())
        yield from map(_count_read, self._late.take_all())

    def teardown(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _give_on(self, results: Iterable[WindowedValue]) -> Iterator[WindowedValue]:
        """What is there; what is to come waits beside."""
        for result in results:
            if isinstance(result.value, LateRead):
                self._late.add(result)
            else:
                yield _count_read(result)

    def _is_full(self) -> bool:
        is_long = len(self._batch) >= self._options.concurrency
        return is_long or self._batch_bytes >= self._options.batch_bytes

    def _submit(self) -> None:
        refs = [each.value for each in self._batch]
        key, last = self._last
        goes_on = key is not None and key == find_object(refs[0])
        future = self._pool.submit(
            read_on, refs, self._options, self._gate, last if goes_on else None
        )
        self._prefetched.add(future, self._batch, self._batch_bytes)
        is_shared = self._options.dedupe == "on"
        self._last = (find_object(refs[-1]), future) if is_shared else (None, None)
        self._batch, self._batch_bytes = [], 0


def _count_bytes(ref: ImageRef | EncodedImage | Failure) -> int:
    if isinstance(ref, EncodedImage):
        return len(ref.data)
    return (ref.size_bytes or 0) if isinstance(ref, ImageRef) else 0


def _count_read(result: WindowedValue) -> WindowedValue:
    if not (isinstance(result.value, Failure) and result.value.stage is Stage.LIST):
        count_read(result.value)
    return result


class PrepareDoFn(beam.DoFn):
    """Hands each image to the process's decode pool and emits in order.

    Emits a tuple for each image: what it is for each of the models, in their order.
    """

    def __init__(
        self, sources: Sequence[ModelSource], options: DecodeOptions, dedupe: Dedupe = "on"
    ) -> None:
        self._sources = tuple(sources)
        self._options = options
        self._dedupe = dedupe

    def setup(self) -> None:
        start_box(self._options)
        preparers = tuple(map(load_preparer, self._sources))
        alone = functools.partial(_prepare, preparers=preparers, options=self._options)
        prepare = SharedPixels(alone).prepare if self._dedupe == "on" else alone
        self._prepare = functools.partial(_prepare_or_pass, prepare=prepare, count=len(preparers))
        # An image takes a place for each model: all of them hold its pixels.
        self._prefetched: PrefetchQueue[Prepared] = PrefetchQueue(
            Stage.PREPARE, max(1, _PREFETCHED_IMAGES // len(preparers)), _PREFETCHED_BYTES
        )

    def start_bundle(self) -> None:
        self._prefetched.clear()  # of a bundle that failed further down, which nobody told us

    def process(
        self,
        image: EncodedImage | Failure,
        timestamp: Any = beam.DoFn.TimestampParam,  # noqa: ANN401
        window: Any = beam.DoFn.WindowParam,  # noqa: ANN401
    ) -> Iterator[WindowedValue]:
        size_bytes = len(image.data) if isinstance(image, EncodedImage) else 0
        origin = WindowedValue(image, timestamp, (window,))
        self._prefetched.add(box_pool().submit(self._prepare, image), [origin], size_bytes)
        yield from map(_count_prepared, self._prefetched.take_due())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        yield from map(_count_prepared, self._prefetched.take_all())


def _prepare(
    image: EncodedImage, preparers: Sequence[Preparer], options: DecodeOptions
) -> Prepared:
    return tuple(prepare_in_box(image, preparers, options))


def _prepare_or_pass(
    image: EncodedImage | Failure, prepare: Callable[[EncodedImage], Prepared], count: int
) -> list[Prepared]:
    """What an image is for each of so many models; a failure of an earlier stage is itself."""
    return [(image,) * count if isinstance(image, Failure) else prepare(image)]


def _count_prepared(result: WindowedValue) -> WindowedValue:
    for each in result.value:
        if not (isinstance(each, Failure) and each.stage is not Stage.PREPARE):
            count_prepared(each)
    return result
