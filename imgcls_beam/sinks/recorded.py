"""The items of a run record: its files, and each time that rows were published."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class RecordedFile:
    """One published file.

    Attributes:
        path: relative to the output folder.
        rows: how many rows it holds.
        size_bytes: its length.
        sha256: of its bytes.
    """

    path: str
    rows: int
    size_bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class RecordedPublication:
    """One time that rows of the run were published: the first, or one that added or replaced rows.

    Attributes:
        attempt: which start of the program did it.
        how: `new`, `replace`, `append` or `errors`.
        started_at: when the program was started, UTC.
        finished_at: when the record was made, UTC.
        rows: how many rows it wrote.
        skipped: how many of them are of images that were not looked at.
    """

    attempt: str
    how: str
    started_at: datetime.datetime
    finished_at: datetime.datetime
    rows: int
    skipped: int = 0

    @property
    def duration_s(self) -> float:
        """From the start of the program to the making of the record."""
        return (self.finished_at - self.started_at).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        times = {name: getattr(self, name).isoformat() for name in ("started_at", "finished_at")}
        return dataclasses.asdict(self) | times

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "RecordedPublication":
        """Parses what `to_json` gives.

        Raises:
            KeyError: something of it is missing.
            TypeError: something of it is of another kind.
            ValueError: a time that is none.
        """
        times = {
            name: datetime.datetime.fromisoformat(fields[name])
            for name in ("started_at", "finished_at")
        }
        return cls(**{**fields, **times})
