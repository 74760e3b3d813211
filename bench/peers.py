"""The ways that are compared: transformers' pipeline, and our job. Files in, Parquet out.

Imports happen inside, so that a process that runs one way does not pay for the other.
"""

import datetime
import pathlib
import uuid
from collections.abc import Sequence
from typing import Any

TOP_K = 5

Answers = dict[str, list[tuple[str, float]]]
"""By file name: labels and scores, best first."""


def run_pipeline(
    paths: Sequence[pathlib.Path], model: pathlib.Path, batch_size: int | None, output: pathlib.Path
) -> None:
    """Classifies files the way the library's guide shows, and writes a Parquet file.

    Args:
        paths: of images.
        model: folder of the model.
        batch_size: of the pipeline; None calls it with one file after the other.
        output: the Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    import transformers

    _quiet_transformers()
    classify = transformers.pipeline(
        "image-classification", model=str(model), device="cpu", dtype="float32"
    )
    names = [str(path) for path in paths]
    if batch_size is None:
        answers = [classify(name, top_k=TOP_K) for name in names]
    else:
        answers = classify(names, top_k=TOP_K, batch_size=batch_size)
    pq.write_table(pa.table({"image_uri": names, "predictions": list(answers)}), output)


def run_job(
    folder: pathlib.Path,
    model: pathlib.Path,
    batch_size: int | None,
    limit: int,
    output: pathlib.Path,
) -> None:
    """Runs our whole job in this process, as `imgcls classify` does, on the default runner.

    Raises:
        RuntimeError: not every image has a prediction.
    """
    from imgcls_beam.model_options import ModelOptions
    from imgcls_beam.options import InputOptions, JobOptions, OutputOptions
    from imgcls_beam.sinks import RunRecord
    from pipelines import job

    options = JobOptions(
        InputOptions((str(folder),), limit=limit),
        ModelOptions(str(model), top_k=TOP_K, device="cpu", dtype="float32", batch_size=batch_size),
        OutputOptions(str(output), run_id=f"bench-{uuid.uuid4().hex}"),
    )
    record = job.run(options, (), datetime.datetime.now(datetime.UTC))
    if not isinstance(record, RunRecord) or record.counts["ok"] != limit:
        raise RuntimeError(f"the job did not predict all {limit} images: {record}")


def job_arguments(
    folder: pathlib.Path,
    model: pathlib.Path,
    batch_size: int | None,
    limit: int,
    output: pathlib.Path,
) -> list[str]:
    """The command line of `run_job`: `imgcls` with these arguments."""
    return [
        "classify",
        f"--input={folder}",
        f"--model={model}",
        f"--output={output}",
        f"--limit={limit}",
        f"--top_k={TOP_K}",
        f"--batch_size={batch_size or 'auto'}",
        "--device=cpu",
        "--dtype=float32",
    ]


def read_answers(parquet: pathlib.Path) -> Answers:
    """Answers of either way: of one file, or of every file below a folder."""
    import pyarrow.parquet as pq

    files = sorted(parquet.rglob("predictions/**/*.parquet")) if parquet.is_dir() else [parquet]
    rows = [
        row
        for file in files
        for row in pq.ParquetFile(file).read(columns=["image_uri", "predictions"]).to_pylist()
    ]
    return {pathlib.PurePath(row["image_uri"]).name: _to_pairs(row["predictions"]) for row in rows}


def _to_pairs(predictions: Sequence[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(each["label"], each["score"]) for each in predictions]


def _quiet_transformers() -> None:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
