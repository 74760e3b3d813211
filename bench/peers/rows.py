"""What all peers share: the arguments, the files to read and the rows to write."""

import argparse
import pathlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

TOP_K = 5

Row = dict[str, Any]


def parse_flags(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """`images`, `model`, `output`; and `batch_size`, `workers`, `search` for who knows them."""
    parser = argparse.ArgumentParser()
    for name in ("images", "model", "output"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--search", type=int, nargs="*", default=())
    return parser.parse_args(argv)


def list_files(images: pathlib.Path) -> list[str]:
    """Paths of a folder's images, by name."""
    return [str(path) for path in sorted(images.iterdir())]


def make_row(uri: str, predictions: Sequence[dict[str, Any]]) -> Row:
    """A row whose scores are known now."""
    return {"image_uri": uri, "predictions": list(predictions), "done_at": time.time()}


def write_rows(rows: Iterable[Row], output: pathlib.Path) -> None:
    """Writes a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), output)


def rank_logits(logits: Any, labels: dict[int, str]) -> list[list[dict[str, Any]]]:  # noqa: ANN401
    """The best labels of each image of a batch; logits are torch's (N, C)."""
    best = logits.softmax(-1).topk(min(TOP_K, logits.shape[-1]))
    return [
        [{"label": labels[i], "score": score} for i, score in zip(indices, scores, strict=True)]
        for indices, scores in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
