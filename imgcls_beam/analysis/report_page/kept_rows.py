"""The rows of a run that a report keeps: so many of each kind, however many there are.

What is kept does not hang on the order of the rows: ties, and what is drawn by chance, are decided
by the digest of the URI.
"""

import hashlib
import heapq
import itertools
import operator
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.analysis.report_page.page_facts import ReportedImage, ShownScore
from imgcls_beam.analysis.scored_rows import are_probabilities, find_functions

_FACTS = ("image_width", "image_height", "image_bytes", "image_format")
COLUMNS = (
    *("image_uri", "image_version", "status", "predictions", "top_label", "top_score"),
    *("top_margin", "error", "params", *_FACTS),
)
_SHOWN_LABELS = 5
_DIGEST_BYTES = 8


def digest_uri(uri: str) -> int:
    """A number of 64 bits that is as good as drawn by chance, and the same each time."""
    raw = uri.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=_DIGEST_BYTES).digest())


class Lowest:
    """The images of the lowest ranks among those that were offered.

    Attributes:
        limit: how many are kept.
    """

    def __init__(self, limit: int) -> None:
        """Begins with none."""
        self.limit = limit
        self._heap: list[tuple[float, int, int, ReportedImage]] = []
        self._turns = itertools.count()

    def admits(self, rank: float, digest: int) -> bool:
        """Whether an image of this rank would be kept; of equal ranks the lower digest is."""
        if len(self._heap) < self.limit:
            return True
        return bool(self._heap) and (-rank, -digest) > self._heap[0][:2]

    def add(self, rank: float, digest: int, image: ReportedImage) -> None:
        """Keeps an image that is admitted, and lets go of the last one where there are too many."""
        entry = (-rank, -digest, next(self._turns), image)
        if len(self._heap) < self.limit:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heapreplace(self._heap, entry)

    def list_images(self) -> list[ReportedImage]:
        """Those that are kept, lowest rank first."""
        by_turn = sorted(self._heap, key=operator.itemgetter(2))
        by_turn.sort(key=operator.itemgetter(0, 1), reverse=True)
        return [image for *_, image in by_turn]


class WantedRow(NamedTuple):
    """A row of a batch that a report may keep.

    Attributes:
        at: index in the batch.
        label_before: the best label in the earlier run, where it was another.
        truth: the label that is right, where that is known.
    """

    at: int
    label_before: str | None = None
    truth: str | None = None


def to_images(batch: pa.RecordBatch, wanted: Sequence[WantedRow]) -> list[ReportedImage]:
    """Some rows of a batch of `COLUMNS`, by columns: row by row they take ten times as long.

    Args:
        batch: of the run.
        wanted: some of its rows, each once and in their order.
    """
    rows = batch
    if len(wanted) < len(batch):
        rows = batch.take(pa.array([each.at for each in wanted], pa.int64()))
    errors = [each or {} for each in rows["error"].to_pylist()]
    columns = (
        *(rows[name].to_pylist() for name in ("image_uri", "image_version", "status")),
        _list_labels(rows["predictions"]),
        rows["top_margin"].to_pylist(),
        (f"{each['stage']}: {each['code']}" if each else "" for each in errors),
        (each.get("message") or "" for each in errors),
        *(rows[name].to_pylist() for name in _FACTS),
        (each.label_before for each in wanted),
        (each.truth for each in wanted),
        itertools.repeat((), len(wanted)),
        are_probabilities(find_functions(rows)).tolist(),
        itertools.repeat(False, len(wanted)),
    )
    return list(map(ReportedImage._make, zip(*columns, strict=True)))


def _list_labels(predictions: pa.ListArray) -> Iterator[tuple[ShownScore, ...]]:
    """The best labels of each row; of those that follow, up to thousands a row, nothing is made."""
    predictions = pc.list_slice(predictions, 0, _SHOWN_LABELS)
    pairs = predictions.flatten()
    columns = (pairs.field(name).to_pylist() for name in ("label", "score"))
    found = list(map(ShownScore._make, zip(*columns, strict=True)))
    sizes = pc.fill_null(pc.list_value_length(predictions), 0).to_pylist()
    for start, size in zip(itertools.accumulate(sizes, initial=0), sizes, strict=False):
        yield tuple(found[start : start + size])
