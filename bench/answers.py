"""Whether two ways say the same: a benchmark of wrong answers is none."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

TOLERANCE = 1e-5
"""The largest difference of a score that the contract allows in float32."""

Pairs = list[tuple[str, float]]
"""Labels and scores, best first."""
Answers = dict[str, Pairs]
"""By file name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What a way wrote of one image.

    Attributes:
        name: of the file.
        predictions: labels and scores, best first.
        done_at: when they were known, in seconds since 1970.
    """

    name: str
    predictions: Pairs
    done_at: float


@dataclasses.dataclass(frozen=True, slots=True)
class Agreement:
    """Two ways over the same images.

    Attributes:
        images: how many there are.
        same_top: on how many the best label is the same.
        largest_difference: between two scores of the same image and label.
    """

    images: int
    same_top: int
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Every score is within `TOLERANCE`; where it is, only equals can change their order."""
        return self.largest_difference <= TOLERANCE


def read_rows(output: pathlib.Path) -> list[Row]:
    """Rows of a Parquet file, of all files of a peer's folder, or of a job's output.

    Raises:
        ValueError: one of them has no predictions.
    """
    found = [Row(*each) for file in _find_files(output) for each in _read_file(file)]
    without = sum(not row.predictions for row in found)
    if without or not found:
        raise ValueError(f"{output}: {without} of {len(found)} rows have no predictions")
    return found


def _find_files(output: pathlib.Path) -> list[pathlib.Path]:
    if output.is_file():
        return [output]
    published = output / "predictions"
    folder = published if published.is_dir() else output
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_file(file: pathlib.Path) -> Iterator[tuple[str, Pairs, float]]:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file).read()
    times = "done_at" if "done_at" in table.column_names else "predicted_at"
    for row in table.select(["image_uri", "predictions", times]).to_pylist():
        done_at = row[times]
        seconds = done_at if isinstance(done_at, float) else done_at.timestamp()
        yield pathlib.PurePath(row["image_uri"]).name, _to_pairs(row["predictions"]), seconds


def compare(ours: Answers, theirs: Answers) -> Agreement:
    """Compares image by image.

    Of two labels whose scores are all but equal either may be the fifth: one that only one of them
    names counts with what lies between it and the other's last.

    Raises:
        ValueError: they are not about the same images.
    """
    if ours.keys() != theirs.keys():
        raise ValueError(f"{len(ours.keys() ^ theirs.keys())} images have only one answer")
    pairs = [(ours[name], theirs[name]) for name in ours]
    return Agreement(
        images=len(pairs),
        same_top=sum(one[0][0] == other[0][0] for one, other in pairs),
        largest_difference=max(_difference(dict(one), dict(other)) for one, other in pairs),
    )


def _difference(one: dict[str, float], other: dict[str, float]) -> float:
    lasts = min(one.values()), min(other.values())
    differences = [
        abs(one.get(label, lasts[0]) - other.get(label, lasts[1])) for label in one | other
    ]
    return max(differences)


def _to_pairs(predictions: Sequence[dict[str, Any]]) -> Pairs:
    return [(each["label"], each["score"]) for each in predictions]
