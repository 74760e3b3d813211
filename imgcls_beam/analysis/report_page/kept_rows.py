"""The rows of a run that a report keeps: so many of each kind, however many there are.

What is kept does not hang on the order of the rows: ties, and what is drawn by chance, are decided
by the digest of the URI.
"""

import hashlib
import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.analysis.report_page.page_facts import ReportedImage
from imgcls_beam.spec import LabelScore

COLUMNS = (
    *("image_uri", "image_version", "status", "predictions", "top_label", "top_score"),
    *("top_margin", "error", "image_width", "image_height", "image_bytes", "image_format"),
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
        return [image for *_, image in sorted(self._heap, key=_rank_of)]


def _rank_of(entry: tuple[float, int, int, ReportedImage]) -> tuple[float, int, int]:
    return -entry[0], -entry[1], entry[2]


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
    """Some rows of a batch of `COLUMNS`, all at once: one by one they take ten times as long."""
    rows = batch.take(pa.array([each.at for each in wanted], pa.int64()))
    labels = _list_labels(rows["predictions"])
    cells = rows.drop_columns(["predictions"]).to_pylist()
    return list(map(_to_image, wanted, labels, cells))


def _to_image(
    wanted: WantedRow, labels: tuple[LabelScore, ...], row: Mapping[str, Any]
) -> ReportedImage:
    error: Mapping[str, Any] = row["error"] or {}
    return ReportedImage(
        uri=row["image_uri"],
        version=row["image_version"],
        status=row["status"],
        labels=labels,
        margin=row["top_margin"],
        problem=f"{error['stage']}: {error['code']}" if error else "",
        message=error.get("message") or "",
        width_px=row["image_width"],
        height_px=row["image_height"],
        size_bytes=row["image_bytes"],
        format=row["image_format"],
        label_before=wanted.label_before,
        truth=wanted.truth,
    )


def _list_labels(predictions: pa.ListArray) -> Iterator[tuple[LabelScore, ...]]:
    """The best labels of each row."""
    pairs = predictions.flatten()
    found = list(
        map(LabelScore, pairs.field("label").to_pylist(), pairs.field("score").to_pylist())
    )
    sizes = pc.fill_null(pc.list_value_length(predictions), 0).to_pylist()
    for start, size in zip(itertools.accumulate(sizes, initial=0), sizes, strict=False):
        yield tuple(found[start : start + min(size, _SHOWN_LABELS)])
