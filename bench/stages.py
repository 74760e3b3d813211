"""Each stage of the job by itself, on the same images and with the job's own functions.

::

    python -m bench.stages IMAGES MODEL

prints the rate of each as JSON: what the job reaches is held against them.
"""

import dataclasses
import functools
import itertools
import json
import pathlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import transformers

from bench.measuring import Take, repeat_rate
from bench.peers.rows import TOP_K
from imgcls_beam.classifying import Classifier, ClassifierSpec, load_classifier
from imgcls_beam.elements import EncodedImage, ImageRef, Outcome, PixelArray
from imgcls_beam.handler import BATCH_SIZE_OF
from imgcls_beam.health import Health
from imgcls_beam.listing import list_images
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions, InputOptions, ReadOptions
from imgcls_beam.predicting import predict_images
from imgcls_beam.preparing import (
    Preparer,
    draw_probes,
    load_preparer,
)
from imgcls_beam.reading import read_images
from imgcls_beam.rows import to_record_batch
from imgcls_beam.sandbox import box_pool, prepare_image
from imgcls_beam.scoring import ModelSource, Scoring
from imgcls_beam.sinks.parquet import BATCH_ROWS
from imgcls_beam.sinks.staged_files import StagingWriter
from imgcls_beam.stores.opening import open_folder

_REPEAT_S = 1.0
"""A stage is repeated for so long."""
_SINK_ROWS = 8192
"""Rows and sink are measured on so many rows: the images' own, over and over."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stages:
    """What the stages hand on, held so that each can be run by itself.

    Attributes:
        folder: of the images.
        refs: one for each image.
        encoded: as read.
        prepared: uint8 pixels, where the model's processor allows it.
        outcomes: one for each image.
        preparer: bytes to pixels.
        classifier: pixels to logits.
        source: the model.
        batch_size: images in a forward pass.
    """

    folder: pathlib.Path
    refs: Sequence[ImageRef]
    encoded: Sequence[EncodedImage]
    prepared: Sequence[PixelArray]
    outcomes: Sequence[Outcome]
    preparer: Preparer
    classifier: Classifier
    source: ModelSource
    batch_size: int


def run_stages(folder: pathlib.Path, model: pathlib.Path, batch_size: int) -> Stages:
    """Runs every stage once over all images of a folder.

    Raises:
        RuntimeError: an image failed.
    """
    source = resolve_model(str(model), None)
    preparer = load_preparer(source)
    classifier = load_classifier(
        ClassifierSpec(source, preparer.affine, "cpu", "float32"),
        functools.partial(draw_probes, preparer),
    )
    refs = _list(folder)
    encoded = [each for each in _read(refs) if isinstance(each, EncodedImage)]
    prepared = [each for each in _prepare(encoded, preparer) if isinstance(each, PixelArray)]
    outcomes = _predict(prepared, batch_size, classifier, Scoring(source, TOP_K))
    if not len(refs) == len(encoded) == len(prepared) == len(outcomes):
        raise RuntimeError(f"{len(prepared)} of {len(refs)} images could be prepared")
    return Stages(
        folder, refs, encoded, prepared, outcomes, preparer, classifier, source, batch_size
    )


def make_measures(stages: Stages, scratch: pathlib.Path, at_least_s: float) -> dict[str, Take]:
    """What measures each stage, by its name and unit.

    Args:
        stages: what they work on.
        scratch: a folder for staged files.
        at_least_s: each is repeated for so long.
    """
    images = len(stages.refs)
    pixels = [image.inputs for image in stages.prepared]
    size, classifier = stages.batch_size, stages.classifier
    scoring = Scoring(stages.source, TOP_K)
    rows = list(itertools.islice(itertools.cycle(stages.outcomes), _SINK_ROWS))
    batches = [to_record_batch(each) for each in _batched(rows, BATCH_ROWS)]
    of_images: dict[str, Callable[[], object]] = {
        "list": functools.partial(_list, stages.folder),
        "read": functools.partial(_read, stages.refs),
        "prepare": functools.partial(_prepare, stages.encoded, stages.preparer),
        "predict": functools.partial(_predict, stages.prepared, size, classifier, scoring),
        "forward": lambda: [classifier.classify(batch) for batch in _batched(pixels, size)],
        "bare forward": _make_bare_forward(stages),
    }
    of_rows: dict[str, Callable[[], object]] = {
        "row": lambda: [to_record_batch(each) for each in _batched(rows, BATCH_ROWS)],
        "sink": functools.partial(_sink, batches, scratch / "staging"),
    }
    takes: dict[str, Take] = {}
    for name, call in of_images.items():
        takes[f"{name}, images/s"] = functools.partial(repeat_rate, call, images, at_least_s)
    for name, call in of_rows.items():
        takes[f"{name}, rows/s"] = functools.partial(repeat_rate, call, len(rows), at_least_s)
    return takes


def _list(folder: pathlib.Path) -> list[ImageRef]:
    listed = list_images(InputOptions((str(folder),)))
    return [ref for ref in listed if isinstance(ref, ImageRef)]


def _read(refs: Sequence[ImageRef]) -> list[Any]:
    options = ReadOptions()
    batches = _batched(refs, options.concurrency)
    return [each for batch in batches for each in read_images(batch, options)]


def _prepare(encoded: Sequence[EncodedImage], preparer: Preparer) -> list[Any]:
    prepare = functools.partial(prepare_image, preparer=preparer, options=DecodeOptions())
    return list(box_pool().map(prepare, encoded))


def _predict(
    prepared: Sequence[PixelArray], batch_size: int, classifier: Classifier, scoring: Scoring
) -> list[Outcome]:
    predict = functools.partial(
        predict_images,
        classifier=classifier,
        scoring=scoring,
        health=Health(classifier, lambda: [prepared[0].inputs]),
    )
    return [each for batch in _batched(prepared, batch_size) for each in predict(batch)]


def _sink(batches: Sequence[Any], folder: pathlib.Path) -> None:
    writer = StagingWriter(open_folder("output", str(folder)), "bench")
    for batch in batches:
        writer.write(batch)
    file = writer.close()
    if file is not None:
        (folder / file.path).unlink()


def _make_bare_forward(stages: Stages) -> Callable[[], object]:
    """The model as transformers loads it, on float batches that are ready: the usual ceiling."""
    model = transformers.AutoModelForImageClassification.from_pretrained(
        stages.source.location, dtype="float32"
    ).eval()
    pixels = torch.from_numpy(np.stack([image.inputs["pixel_values"] for image in stages.prepared]))
    if stages.preparer.affine is not None:
        scale, shift = torch.tensor(stages.preparer.affine.scale), stages.preparer.affine.shift
        pixels = (pixels * scale + torch.tensor(shift)).permute(0, 3, 1, 2).contiguous()

    def forward() -> None:
        with torch.inference_mode():
            for batch in _batched(pixels, stages.batch_size):
                model(pixel_values=batch)

    return forward


def _batched(items: Any, size: int) -> list[Any]:  # noqa: ANN401  what can be sliced
    return [items[start : start + size] for start in range(0, len(items), size)]


def main() -> None:
    """Measures every stage of a folder of images, and the sinks; prints rates by name."""
    from bench import sinks

    images, model = map(pathlib.Path, sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="imgcls-bench-") as folder:
        scratch = pathlib.Path(folder)
        stages = run_stages(images, model, BATCH_SIZE_OF["cpu"])
        measures = make_measures(stages, scratch, _REPEAT_S) | sinks.make_measures(scratch)
        rates = {name: take() for name, take in measures.items()}
    sys.stdout.write(f"{json.dumps(rates)}\n")


if __name__ == "__main__":
    main()
