"""Our sink beside Beam's own `WriteToParquet`: the same predictions, both in a Beam pipeline."""

import datetime
import functools
import itertools
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.parquetio import WriteToParquet, WriteToParquetBatched

from bench.measuring import Take
from imgcls_beam.elements import ImageFacts, ImageRef, Prediction
from imgcls_beam.rows import SCHEMA
from imgcls_beam.scoring import AppliedParameters, Execution, ModelSource, Scoring
from imgcls_beam.sinks import WriteParquet
from imgcls_beam.spec import LabelScore

ROWS = 50_000
_DISTINCT_ROWS = 5_000
OURS, BEAMS = "our WriteParquet", "Beam's WriteToParquet"
BATCHED = "Beam's, in batches"

_NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_SCORING = Scoring(ModelSource("owner/model", "0" * 40, "owner/model", "0" * 40), 5)
_APPLIED = AppliedParameters(5, "softmax", "model")
_EXECUTION = Execution("cpu", "float32", 16, 10.0, _NOW)
_COLUMNS = (
    *("image_uri", "image_sha256", "image_bytes", "image_width", "image_height", "status"),
    *("predictions", "top_label", "top_score", "model_id"),
)
"""What a row has when Beam writes it: ten columns. Ours has all that the contract names."""


def make_measures(scratch: pathlib.Path) -> dict[str, Take]:
    """What measures rows per second of a whole pipeline that writes predictions, by name."""
    _draw_distinct()
    writes = {OURS: _write_ours, BEAMS: _write_beam, BATCHED: _write_beam_batches}
    return {
        f"{name}, rows/s": functools.partial(_take, scratch / "sink", write)
        for name, write in writes.items()
    }


def _take(folder: pathlib.Path, write: Callable[[beam.PCollection, str], object]) -> float:
    start_s = time.perf_counter()
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        write(pipeline | "Count" >> beam.Create([ROWS]) | beam.FlatMap(_draw), str(folder))
    elapsed_s = time.perf_counter() - start_s
    shutil.rmtree(folder)
    return ROWS / elapsed_s


def _write_ours(predictions: beam.PCollection, folder: str) -> None:
    listed = predictions.pipeline | "Listed" >> beam.Create([ROWS])
    _ = predictions | WriteParquet(folder, listed, run_id="bench")


def _write_beam(predictions: beam.PCollection, folder: str) -> None:
    schema = pa.schema([SCHEMA.field(name) for name in _COLUMNS])
    write = WriteToParquet(f"{folder}/part", schema, file_name_suffix=".parquet")
    _ = predictions | "ToDict" >> beam.Map(_to_dict) | "Write" >> write


def _write_beam_batches(predictions: beam.PCollection, folder: str) -> None:
    schema = pa.schema([SCHEMA.field(name) for name in _COLUMNS])
    _ = (
        predictions
        | "Batch" >> beam.BatchElements(1000, 1000)
        | "ToTable" >> beam.Map(_to_table, schema)
        | "Write" >> WriteToParquetBatched(f"{folder}/part", schema, file_name_suffix=".parquet")
    )


def _to_table(predictions: Sequence[Prediction], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(list(map(_to_dict, predictions)), schema=schema)


def _draw(rows: int) -> Iterator[Prediction]:
    """Cheap: making 50,000 predictions takes longer than writing them."""
    return itertools.islice(itertools.cycle(_draw_distinct()), rows)


@functools.cache
def _draw_distinct() -> tuple[Prediction, ...]:
    return tuple(map(_draw_one, range(_DISTINCT_ROWS)))


def _draw_one(index: int) -> Prediction:
    return Prediction(
        ref=ImageRef(f"gs://bucket/folder/{index:08d}.jpg", "1", 100_000 + index, _NOW),
        labels=tuple(
            LabelScore(f"LABEL_{(index + rank) % 1000}", 0.5 / (rank + 1)) for rank in range(5)
        ),
        margin=0.25,
        applied=_APPLIED,
        execution=_EXECUTION,
        scoring=_SCORING,
        facts=ImageFacts(100_000 + index, f"{index:064x}", 500, 375, "JPEG"),
        prepare_ms=2.0,
    )


def _to_dict(prediction: Prediction) -> dict[str, Any]:
    facts, best = prediction.facts, prediction.labels[0]
    assert facts is not None
    return {
        "image_uri": prediction.ref.uri,
        "image_sha256": facts.sha256,
        "image_bytes": facts.size_bytes,
        "image_width": facts.width_px,
        "image_height": facts.height_px,
        "status": "ok",
        "predictions": [{"label": each.label, "score": each.score} for each in prediction.labels],
        "top_label": best.label,
        "top_score": best.score,
        "model_id": _SCORING.model.model_id,
    }
