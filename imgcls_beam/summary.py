"""What a set of rows adds up to: small, mergeable, computed a column at a time."""

import collections
import dataclasses
import datetime
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BINS = 20
"""Bins of the score histogram, of equal width over [0, 1]; 1.0 belongs to the last."""

# Not `range=(0, 1)`: the edges that numpy computes put 0.95 into the bin below it.
_EDGES = np.arange(BINS + 1) / BINS
_NO_SCORES = (0,) * (BINS + 2)
_STATUSES = ("ok", "error", "skipped")

Key = TypeVar("Key", str, tuple[str, str])


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """Counts and sums over rows.

    Attributes:
        statuses: rows by status.
        errors: error rows by (stage, code).
        labels: rows by their best label.
        scores: rows by their best score: below 0, the `BINS` from 0 to 1, above 1. Scores lie
            outside where no function was applied.
        first_at: when the first row was done with, UTC.
        last_at: when the last row was done with, UTC.
        preprocess_ms: sum over rows.
        inference_ms: sum over rows.
        bytes_read: encoded bytes of the images that were read.
        duplicates: references that were listed and are no rows: each is equal to one that is.
        shared: rows whose scores are those of another row's image, which has the same bytes.
    """

    statuses: Mapping[str, int] = dataclasses.field(default_factory=dict)
    errors: Mapping[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    scores: tuple[int, ...] = _NO_SCORES
    first_at: datetime.datetime | None = None
    last_at: datetime.datetime | None = None
    preprocess_ms: float = 0.0
    inference_ms: float = 0.0
    bytes_read: int = 0
    duplicates: int = 0
    shared: int = 0

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(self.statuses.values())

    def without(self, dropped: "Summary") -> "Summary":
        """What is left when rows that were added up here are taken away; both times stay."""
        return dataclasses.replace(
            self,
            statuses=_take(self.statuses, dropped.statuses),
            errors=_take(self.errors, dropped.errors),
            labels=_take(self.labels, dropped.labels),
            scores=tuple(a - b for a, b in zip(self.scores, dropped.scores, strict=True)),
            preprocess_ms=self.preprocess_ms - dropped.preprocess_ms,
            inference_ms=self.inference_ms - dropped.inference_ms,
            bytes_read=self.bytes_read - dropped.bytes_read,
            duplicates=self.duplicates - dropped.duplicates,
            shared=self.shared - dropped.shared,
        )

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Summary":
        """Parses what `to_json` gives.

        Raises:
            KeyError: something of it is missing.
            TypeError: something of it is of another kind.
            ValueError: a time that is none.
        """
        histogram = fields["score_histogram"]
        first, last = fields["first_at"], fields["last_at"]
        return cls(
            statuses={status: count for status, count in fields["counts"].items() if count},
            errors={(each["stage"], each["code"]): each["count"] for each in fields["errors"]},
            labels={each["label"]: each["count"] for each in fields["labels"]},
            scores=(histogram["below"], *histogram["bins"], histogram["above"]),
            first_at=datetime.datetime.fromisoformat(first) if first else None,
            last_at=datetime.datetime.fromisoformat(last) if last else None,
            preprocess_ms=fields["preprocess_ms"],
            inference_ms=fields["inference_ms"],
            bytes_read=fields["bytes_read"],
            duplicates=fields.get("duplicates", 0),
            shared=fields.get("shared", 0),
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object: counts with the most frequent first, ties by name."""
        return {
            "counts": {status: self.statuses.get(status, 0) for status in _STATUSES},
            "errors": [
                {"stage": stage, "code": code, "count": count}
                for (stage, code), count in _by_count(self.errors)
            ],
            "labels": [{"label": label, "count": count} for label, count in _by_count(self.labels)],
            "score_histogram": {
                "below": self.scores[0],
                "bins": list(self.scores[1:-1]),
                "above": self.scores[-1],
            },
            "first_at": self.first_at.isoformat() if self.first_at else None,
            "last_at": self.last_at.isoformat() if self.last_at else None,
            "preprocess_ms": self.preprocess_ms,
            "inference_ms": self.inference_ms,
            "bytes_read": self.bytes_read,
            "duplicates": self.duplicates,
            "shared": self.shared,
        }


def summarize(batch: pa.RecordBatch) -> Summary:
    """Adds up a record batch of `rows.SCHEMA`."""
    at = pc.min_max(batch["predicted_at"])
    # What several references name was read once.
    was_read = pc.and_not(
        pc.is_valid(batch["image_sha256"]),
        pc.fill_null(pc.equal(batch["shared_with"], batch["image_uri"]), False),
    )
    return Summary(
        statuses=_count_values(batch["status"]),
        errors=_count_errors(batch["error"]),
        labels=_count_values(batch["top_label"]),
        scores=count_scores(batch["top_score"]),
        first_at=at["min"].as_py(),
        last_at=at["max"].as_py(),
        preprocess_ms=_sum(batch["preprocess_ms"]),
        inference_ms=_sum(batch["inference_ms"]),
        bytes_read=_sum(batch["image_bytes"].filter(was_read)),
        duplicates=_sum(batch["duplicates"]),
        shared=batch.num_rows - batch["shared_with"].null_count,
    )


def merge_summaries(summaries: Iterable[Summary]) -> Summary:
    """Adds summaries up; none at all give the summary of no rows."""
    parts = list(summaries)
    first = [part.first_at for part in parts if part.first_at]
    last = [part.last_at for part in parts if part.last_at]
    return Summary(
        statuses=_add(part.statuses for part in parts),
        errors=_add(part.errors for part in parts),
        labels=_add(part.labels for part in parts),
        scores=tuple(map(sum, zip(*(part.scores for part in parts), _NO_SCORES, strict=True))),
        first_at=min(first, default=None),
        last_at=max(last, default=None),
        preprocess_ms=sum(part.preprocess_ms for part in parts),
        inference_ms=sum(part.inference_ms for part in parts),
        bytes_read=sum(part.bytes_read for part in parts),
        duplicates=sum(part.duplicates for part in parts),
        shared=sum(part.shared for part in parts),
    )


def _add(counts: Iterable[Mapping[Key, int]]) -> dict[Key, int]:
    total: collections.Counter[Key] = collections.Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def _take(counts: Mapping[Key, int], dropped: Mapping[Key, int]) -> dict[Key, int]:
    left = {key: count - dropped.get(key, 0) for key, count in counts.items()}
    return {key: count for key, count in left.items() if count}


def _by_count(counts: Mapping[Key, int]) -> list[tuple[Key, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _count_values(values: pa.Array) -> dict[str, int]:
    counted = values.drop_null().value_counts()
    return dict(
        zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    )


def _count_errors(errors: pa.Array) -> dict[tuple[str, str], int]:
    present = errors.drop_null()
    names = (present.field(name).to_pylist() for name in ("stage", "code"))
    return dict(collections.Counter(zip(*names, strict=True)))


def count_scores(scores: pa.Array) -> tuple[int, ...]:
    """Counts scores as `Summary.scores` has them."""
    values = scores.drop_null().to_numpy(zero_copy_only=False)
    bins, _ = np.histogram(values, bins=_EDGES)
    outside = (values < 0.0).sum(), (values > 1.0).sum()
    return tuple(int(count) for count in itertools.chain(outside[:1], bins, outside[1:]))


def _sum(values: pa.Array) -> Any:  # noqa: ANN401 - int or float, as the column is
    return pc.sum(values, min_count=0).as_py()
