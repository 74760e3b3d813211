"""Unbounded input: outcomes keep times and windows; a model can be changed while it runs."""

import json
import pathlib
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io import fileio
from apache_beam.ml.inference.base import ModelMetadata, RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from imgcls_beam import (
    ClassifyImages,
    ClassifyRows,
    ConfigError,
    ImageClassificationModelHandler,
    WriteJsonl,
    WriteParquet,
)
from imgcls_beam.elements import Outcome
from imgcls_beam.lines import encode_line
from imgcls_beam.options import OutputOptions
from tests.runners import DEFAULT, make_pipeline
from tests.scenes import draw_photo, encode, write_broken, write_photos
from tests.staged import NOON

STREAMING = ["--runner=DirectRunner", "--streaming", "--prism_location=/nonexistent"]


def write_images(folder: pathlib.Path) -> list[str]:
    """Ten good images and two bad ones, in an order of their own."""
    write_photos(folder, 10)
    write_broken(folder, 2)
    return [str(path) for path in sorted(folder.iterdir())]


def stream(uris: list[str], seconds: int) -> test_stream.TestStream:
    """An image every so many seconds; the watermark follows, so each is a bundle of its own."""
    source = test_stream.TestStream().advance_watermark_to(0)
    for index, uri in enumerate(uris):
        at = index * seconds
        source = source.add_elements([TimestampedValue(uri, at)]).advance_watermark_to(at + 1)
    return source.advance_watermark_to_infinity()


class _WhenAndWhere(beam.DoFn):
    def process(
        self,
        outcome: Outcome,
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Any:
        yield outcome.ref.uri, timestamp.micros // 10**6, window.start.micros // 10**6


def test_an_image_of_a_stream_keeps_its_time_and_its_window(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    uris = write_images(tmp_path / "photos")
    with beam.Pipeline(options=PipelineOptions(STREAMING)) as pipeline:
        images = pipeline | stream(uris, 10) | beam.WindowInto(FixedWindows(60))
        outcomes = (images | ClassifyImages(str(vit_folder), top_k=1)).outcomes
        assert not outcomes.is_bounded
        expected = [(uri, 10 * index, 60 * (index // 6)) for index, uri in enumerate(uris)]
        assert_that(outcomes | beam.ParDo(_WhenAndWhere()), equal_to(expected))


class _LineSink(fileio.TextSink):
    def write(self, line: bytes) -> None:
        self._fh.write(line)


def test_each_window_becomes_a_file_of_lines(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    uris = write_images(tmp_path / "photos")
    with beam.Pipeline(options=PipelineOptions(STREAMING)) as pipeline:
        images = pipeline | stream(uris, 10) | beam.WindowInto(FixedWindows(60))
        lines = (images | ClassifyImages(str(vit_folder), top_k=1)).outcomes | beam.Map(encode_line)
        _ = lines | fileio.WriteToFiles(
            str(tmp_path / "out"), sink=lambda _: _LineSink(), shards=1, max_writers_per_bundle=0
        )
    files = sorted((tmp_path / "out").glob("output-*"))
    assert len(files) == 2
    read = [sorted(json.loads(line)["image_uri"] for line in file.open()) for file in files]
    assert read == [uris[:6], uris[6:]]


@pytest.mark.slow
def test_rows_of_a_stream_are_rows_of_the_same_windows(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    uris = write_images(tmp_path / "photos")
    with beam.Pipeline(options=PipelineOptions(STREAMING)) as pipeline:
        uris_of_minutes = pipeline | stream(uris, 30) | beam.WindowInto(FixedWindows(60))
        rows = uris_of_minutes | beam.Select(uri=str) | ClassifyRows(str(vit_folder))
        by_status = rows | beam.Map(_to_status) | beam.combiners.Count.PerElement()
        assert_that(by_status, equal_to([("ok", 2)] * 5 + [("error", 2)]))


def _to_status(row: Any) -> str:
    status: str = row.status
    return status


def test_a_run_that_would_never_end_is_refused(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    pipeline = beam.Pipeline(options=PipelineOptions(STREAMING))
    images = pipeline | stream([], 1) | beam.WindowInto(FixedWindows(60))
    outcomes = (images | ClassifyImages(str(vit_folder))).outcomes
    listed = pipeline | beam.Create([0])
    sinks = [
        WriteParquet(str(tmp_path / "out"), listed, run_id="r1"),
        WriteJsonl(str(tmp_path / "out.jsonl"), listed),
    ]
    for sink in sinks:
        with pytest.raises(ConfigError, match="this input never does"):
            _ = outcomes | sink


def test_a_run_of_windows_that_ends_is_one_run(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    uris = write_images(tmp_path / "photos")
    output = OutputOptions(str(tmp_path / "out"), "r1", NOON.date())
    with make_pipeline() as pipeline:
        images = (
            pipeline
            | beam.Create(list(enumerate(uris)))
            | beam.MapTuple(lambda index, uri: TimestampedValue(uri, 10 * index))
            | beam.WindowInto(FixedWindows(60))
        )
        outcomes = (images | ClassifyImages(str(vit_folder))).outcomes
        listed = pipeline | "Listed" >> beam.Create([len(uris)])
        records = outcomes | WriteParquet(output, listed)
        assert_that(records | beam.Map(lambda each: each.counts["ok"]), equal_to([10]))
        files = outcomes | WriteJsonl(str(tmp_path / "out.jsonl"), listed)
        assert_that(files | beam.Map(lambda each: each.lines), equal_to([len(uris)]), "Lines")


@pytest.mark.parametrize("arguments", [DEFAULT, STREAMING])
def test_a_side_input_changes_the_model_from_window_to_window(
    arguments: list[str], model_folders: dict[str, pathlib.Path]
) -> None:
    first, second = str(model_folders["vit"]), str(model_folders["convnext"])
    updates = [(0, ""), (60, ""), (120, second), (180, second), (240, first)]
    with beam.Pipeline(options=PipelineOptions(arguments)) as pipeline:
        models = (
            pipeline
            | "Updates" >> beam.Create(updates)
            | "UpdateTimes" >> beam.MapTuple(_at_its_time)
            | "UpdateWindows" >> beam.WindowInto(FixedWindows(60))
            | "Metadata" >> beam.Map(_to_metadata)
        )
        handler = ImageClassificationModelHandler(first, top_k=1)
        times = [10, 70, 130, 140, 190, 250]
        results = (
            pipeline
            | "Images" >> beam.Create([(each, each) for each in times])
            | "ImageTimes" >> beam.MapTuple(_at_its_time)
            | "ImageWindows" >> beam.WindowInto(FixedWindows(60))
            | "Draw" >> beam.Map(_draw)
            | RunInference(handler, model_metadata_pcoll=models)
            | "Models" >> beam.Map(_find_model)
        )
        assert_that(results, equal_to([first] * 2 + [second] * 3 + [first]))


def _at_its_time(at: int, element: Any) -> Any:
    return TimestampedValue(element, at)


def _to_metadata(model: str) -> ModelMetadata:
    return ModelMetadata(model_id=model, model_name=pathlib.Path(model).name or "given")


def _draw(seed: int) -> bytes:
    return encode(draw_photo(seed))


def _find_model(result: Any) -> str:
    assert isinstance(result.inference, list), result.inference
    model: str = result.model_id.partition("@")[0]
    return model
