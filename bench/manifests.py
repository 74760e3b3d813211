"""Memory of a run over a long manifest: flat, or not.

::

    python -m bench.manifests --lines=1000000                # one in ten names an image again
    python -m bench.manifests --lines=1000000 --repeats=0    # each names another image
    python -m bench.manifests --lines=1000000 --limit=1000   # the first thousand
    python -m bench.manifests --lines=10000 --form=parquet

Everything is the job's own but two ends: the store gives a small picture for every name, and
the classifier gives the same scores for every picture. So what is measured is listing, reading,
decoding, rows and the sink, and a million images take minutes.
"""

import argparse
import collections
import io
import itertools
import json
import os
import pathlib
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import fsspec
import numpy as np
from PIL import Image

from bench.measuring import find_peak_bytes
from imgcls_beam.classifying import ClassifierCard, ForwardPass
from imgcls_beam.elements import ModelInputs

FORMS = ("csv", "jsonl", "txt", "parquet")
_MODEL = pathlib.Path(__file__).parents[1] / "demo" / "model"
_MARKS = (0.01, 0.1, 0.25, 0.5, 0.75, 1.0)
_POLL_S = 0.05
_LABELS = 10
_PNG_END_BYTES = 12
_BLOCK_LINES = 10_000

_Line = tuple[str, str, int]

_PREDICTED: collections.Counter[bool] = collections.Counter()
"""Images whose scores are of a pass of their own, in this process."""


class SameStore(fsspec.AbstractFileSystem):
    """A store that holds one picture under every name, which stands in it: no two are one file."""

    protocol = "same"
    picture = b""

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: object
    ) -> bytes:
        """The picture, with its path in a comment."""
        text = b"tEXtpath\0" + path.encode()
        chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        picture = self.picture[:-_PNG_END_BYTES] + chunk + self.picture[-_PNG_END_BYTES:]
        return picture[start:end]


class SameClassifier:
    """The same scores for every picture."""

    def describe(self) -> ClassifierCard:
        """A card of ten labels."""
        labels = tuple(f"LABEL_{index}" for index in range(_LABELS))
        return ClassifierCard(labels, "softmax", "cpu", "float32", 0)

    def classify(self, batch: Sequence[ModelInputs]) -> ForwardPass:
        """Logits 0, 1, …, 9 for each image."""
        return ForwardPass(np.tile(np.arange(_LABELS, dtype=np.float32), (len(batch), 1)), 0.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs once and prints the memory as it went."""
    flags = _make_parser().parse_args(argv)
    from pipelines import startup

    startup.set_up()
    with tempfile.TemporaryDirectory(prefix="imgcls-bench-") as folder:
        manifest = write_manifest(pathlib.Path(folder), flags.lines, flags.form, flags.repeats)
        _PREDICTED.clear()
        images = min(flags.lines, flags.limit or flags.lines)
        _register_store()
        # Listing and its imports are in the base: what counts is what comes on top with the lines.
        watch = _MemoryWatch(images)
        start_s = time.perf_counter()
        _run(manifest, flags.limit, pathlib.Path(folder) / "out")
        elapsed_s = time.perf_counter() - start_s
        size_mb = manifest.stat().st_size / 1e6
        sys.stdout.write(f"manifest  {flags.lines:,} lines of {flags.form}, {size_mb:,.1f} MB\n")
        sys.stdout.write(f"rows      {images:,}, {images / elapsed_s:,.0f} rows/s\n")
        sys.stdout.write(f"predicted {_PREDICTED[True]:,} images\n")
        sys.stdout.write(watch.describe())
    return 0


def write_manifest(
    folder: pathlib.Path, lines: int, form: str, repeats: float = 0.0
) -> pathlib.Path:
    """Writes a manifest of so many lines, with two more columns.

    A share of them names an image that a line far above has named, with other columns. Text has no
    columns: there each line names another image.
    """
    path = folder / f"manifest.{form}"
    every = round(1 / repeats) if repeats and form != "txt" else lines
    drawn = (_draw_line(index, every) for index in range(lines))
    if form == "parquet":
        _write_parquet(path, drawn)
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        if form == "csv":
            file.write("uri,shop,price\n")
        for uri, shop, price in drawn:
            if form == "csv":
                file.write(f"{uri},{shop},{price}\n")
            elif form == "jsonl":
                file.write(json.dumps({"uri": uri, "shop": shop, "price": price}) + "\n")
            else:
                file.write(f"{uri}\n")
    return path


def _draw_line(index: int, every: int) -> _Line:
    """A line; each last one of `every` names an image of the first half of those above it."""
    image = index
    if index % every == every - 1 and index > every:
        image = index // 2 // every * every
    return f"same://bucket/2026/11/23/picture-{image:09d}.png", f"shop {index % 97}", index


def _write_parquet(path: pathlib.Path, lines: Iterator[_Line]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"uri": pa.string(), "shop": pa.string(), "price": pa.int64()})
    with pq.ParquetWriter(path, schema) as writer:
        while block := list(itertools.islice(lines, _BLOCK_LINES)):
            columns = [list(column) for column in zip(*block, strict=True)]
            writer.write_table(pa.table(columns, schema=schema))


def _register_store() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(buffer, "PNG")
    SameStore.picture = buffer.getvalue()
    fsspec.register_implementation("same", SameStore, clobber=True)


def _run(manifest: pathlib.Path, limit: int | None, output: pathlib.Path) -> None:
    """The graph of the job, but for the classifier."""
    import apache_beam as beam
    from apache_beam.ml.inference.base import RunInference

    from imgcls_beam.board import BOARD
    from imgcls_beam.models import resolve_model
    from imgcls_beam.options import InputOptions, ManifestOptions, ReadOptions
    from imgcls_beam.sinks import WriteParquet
    from imgcls_beam.transforms import ListImages, PrepareImages, ReadImages

    column = None if manifest.suffix == ".txt" else "uri"
    carried = () if column is None else ("shop", "price")
    table = ManifestOptions(str(manifest), column, carry_columns=carried)
    BOARD.reset()
    with beam.Pipeline("FnApiRunner") as pipeline:
        inputs = InputOptions(manifest=table, limit=limit, allow_schemes=("same",))
        refs = pipeline | ListImages(inputs, is_spread=False)
        listed = refs | beam.combiners.Count.Globally()
        outcomes = (
            refs
            | ReadImages(ReadOptions(allow_schemes=("same",)))
            | PrepareImages(resolve_model(str(_MODEL), None))
            | RunInference(_make_handler())
            | beam.Map(_count)
        )
        _ = outcomes | WriteParquet(str(output), listed, run_id="bench")


def _make_handler() -> Any:  # noqa: ANN401  the class is made here: its base is heavy to import
    from imgcls_beam.models import resolve_model
    from imgcls_beam.outcome_handler import OutcomeHandler

    handler: Any = OutcomeHandler(str(_MODEL), source=resolve_model(str(_MODEL), None))
    handler.load_model = SameClassifier
    return handler


def _count(result: Any) -> Any:  # noqa: ANN401  PredictionResult, whose import is heavy
    from imgcls_beam.metrics import count_outcome

    count_outcome(result.inference, reached_model=True)
    _PREDICTED[result.inference.shared_with is None] += 1
    return result.inference


class _MemoryWatch:
    """Resident memory of this process, as the images go through."""

    def __init__(self, images: int) -> None:
        self._marks = {round(mark * images): mark for mark in _MARKS}
        self._seen: dict[float, float] = {}
        threading.Thread(target=self._watch, daemon=True).start()

    def describe(self) -> str:
        lines = [f"  at {mark:>4.0%}  {mb:,.0f} MB\n" for mark, mb in self._seen.items()]
        return "".join((*lines, f"  peak     {find_peak_bytes() / 1e6:,.0f} MB\n"))

    def _watch(self) -> None:
        from imgcls_beam.board import BOARD

        page_bytes = os.sysconf("SC_PAGE_SIZE")
        statm = pathlib.Path("/proc/self/statm")
        for count, mark in self._marks.items():
            while BOARD.read().done < count:
                time.sleep(_POLL_S)
            self._seen[mark] = int(statm.read_text().split()[1]) * page_bytes / 1e6


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.manifests",
        description="Memory of a run over a long manifest; store and classifier are stubs.",
    )
    add = parser.add_argument
    add("--lines", type=int, default=1_000_000, metavar="N", help="of the manifest (1,000,000)")
    add("--repeats", type=float, default=0.1, metavar="R", help="share of images again (0.1)")
    add("--limit", type=int, metavar="N", help="classify the first N only")
    add("--form", choices=FORMS, default="csv", help="of the manifest (csv)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
