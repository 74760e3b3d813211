"""The stages in a pipeline: every image once, good beside bad, counted."""

import collections
import functools
import pathlib
import pickle
import re
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.testing.util import assert_that, equal_to

from imgcls_beam import ClassifyImages, ListImages, PrepareImages, ReadImages
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, Outcome, PixelArray, Prediction
from imgcls_beam.errors import ConfigError, Stage
from imgcls_beam.metrics import NAMESPACE
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.models import resolve_model
from imgcls_beam.options import InputOptions, ReadOptions
from tests.runners import make_pipeline
from tests.scenes import write_broken, write_photos


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    """40 good and 5 bad images."""
    write_photos(tmp_path / "photos", 40)
    write_broken(tmp_path / "photos", 5)
    return tmp_path / "photos"


def run_classify(photos: pathlib.Path, **options: Any) -> tuple[list[Outcome], dict[str, int]]:
    """Runs list and classify; the outcomes, and the counters."""
    kept = photos.parent / "outcomes.pickle"
    pipeline = make_pipeline()
    refs = pipeline | ListImages(InputOptions((str(photos),)))
    classified = refs | ClassifyImages(**options)
    _ = classified.outcomes | beam.combiners.ToList() | beam.Map(_keep, kept)
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    outcomes: list[Outcome] = pickle.loads(kept.read_bytes())
    return outcomes, {each.key.metric.name: each.committed for each in counters}


def _keep(elements: list[Any], path: pathlib.Path) -> None:
    path.write_bytes(pickle.dumps(elements))


def test_every_listed_image_is_one_outcome_and_is_counted(
    photos: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    outcomes, counters = run_classify(photos, model=str(vit_folder), batch_size=8)
    listed = sorted(f"file://{path}" for path in photos.iterdir())
    assert sorted(each.ref.uri for each in outcomes) == listed
    by_type = collections.Counter(type(each) for each in outcomes)
    assert by_type == {Prediction: 40, Failure: 5}
    expected = {"list_images": 45, "read_ok": 44, "read_error": 1, "prepare_ok": 40}
    expected |= {"prepare_error": 4, "predict_ok": 40}
    assert {name: counters[name] for name in expected} == expected


def test_a_prediction_carries_what_its_row_needs(
    photos: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    outcomes, _ = run_classify(photos, model=str(vit_folder), top_k=1, batch_size=8)
    for outcome in outcomes:
        if isinstance(outcome, Prediction):
            assert len(outcome.labels) == 1
            assert outcome.margin is not None
            assert 0 <= outcome.margin <= 1
            assert outcome.facts is not None
            assert outcome.facts.size_bytes == outcome.ref.size_bytes
            assert outcome.execution.device == "cpu"
            assert outcome.execution.batch_size <= 8


def test_batches_are_full_but_for_the_last(photos: pathlib.Path, vit_folder: pathlib.Path) -> None:
    outcomes, _ = run_classify(photos, model=str(vit_folder), batch_size=9)
    sizes = [each.execution.batch_size for each in outcomes if isinstance(each, Prediction)]
    # Five of 45 elements are failures, which take a place in a batch but none in the pass.
    assert sum(1 / size for size in sizes) == pytest.approx(5)


def test_overlapping_inputs_are_scored_once(photos: pathlib.Path, vit_folder: pathlib.Path) -> None:
    inputs = (str(photos), f"{photos}/*.jpg", str(photos / "0000.jpg"))
    with make_pipeline() as pipeline:
        refs = pipeline | ListImages(InputOptions(inputs))
        uris = refs | beam.Map(_get_uri)
        assert_that(uris, equal_to(sorted(f"file://{path}" for path in photos.iterdir())))


def _get_uri(element: Any) -> str:
    ref: ImageRef = element if isinstance(element, ImageRef) else element.ref
    return ref.uri


def test_predictions_and_failures_are_given_apart_too(
    photos: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    with make_pipeline() as pipeline:
        uris = pipeline | beam.Create([str(path) for path in photos.iterdir()])
        classified = uris | ClassifyImages(model=str(vit_folder))
        count = beam.combiners.Count.Globally
        assert_that(classified.predictions | "Ok" >> count(), equal_to([40]), "Good")
        assert_that(classified.failures | "Bad" >> count(), equal_to([5]), "Bad")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/a.jpg", "", "ftp://host/a", "a\nb"])
def test_a_uri_that_may_not_be_read_costs_one_row(
    photos: pathlib.Path, vit_folder: pathlib.Path, uri: str
) -> None:
    with make_pipeline() as pipeline:
        uris = pipeline | beam.Create([str(photos / "0000.jpg"), uri])
        outcomes = (uris | ClassifyImages(model=str(vit_folder))).outcomes
        stages = outcomes | beam.Map(_get_stage)
        assert_that(stages, equal_to([None, Stage.READ]))


def test_each_stage_passes_on_what_an_earlier_one_gave_up(
    photos: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    gone = ImageRef(str(tmp_path / "gone.jpg"))
    page = next(photos.glob("*page.jpg"))
    good = photos / "0001.png"
    with make_pipeline() as pipeline:
        refs = pipeline | beam.Create([gone, ImageRef(str(page)), ImageRef(str(good))])
        read = refs | ReadImages(ReadOptions())
        prepared = read | PrepareImages(resolve_model(str(vit_folder), None))
        assert_that(read, _check_types([Failure, EncodedImage, EncodedImage]), "Read")
        assert_that(prepared, _check_types([Failure, Failure, PixelArray]), "Prepared")
        stages = prepared | beam.Map(_get_stage)
        assert_that(stages, equal_to([Stage.READ, Stage.PREPARE, None]), "Stages")


def _get_stage(element: Any) -> Stage | None:
    return element.stage if isinstance(element, Failure) else None


def _check_types(expected: list[type]) -> Any:
    return functools.partial(_assert_types, expected=expected)


def _assert_types(elements: list[Any], expected: list[type]) -> None:
    assert collections.Counter(map(type, elements)) == collections.Counter(expected)


@pytest.mark.parametrize(("option", "value"), [("top_k", 0), ("device", "tpu"), ("model", "")])
def test_a_bad_option_is_refused_where_the_pipeline_is_written(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=option):
        ClassifyImages(**{option: value})


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (
            lambda: ClassifyImages("a", topk=1),
            "topk=1: there is no such option; did you mean top_k",
        ),
        (lambda: ClassifyImages("a", top_k="all"), "1 or more, or None for every label"),
        (lambda: ClassifyImages("a", function_to_apply="relu"), "or None for the model's own rule"),
        (lambda: ClassifyImages(17), "model=17: give a text"),
        (lambda: ListImages(17), "inputs=17: it is int; give a URL, several of them, or"),
        (lambda: ListImages(["a", 3]), "input=3: give a text"),
        (lambda: ListImages("http://host/a"), "its scheme is not allowed"),
        (lambda: ListImages(()), "give at least one"),
        (lambda: PrepareImages(None), "model=None: it is NoneType; give its name"),
        (lambda: PrepareImages("a", ReadOptions()), "it is ReadOptions; give DecodeOptions"),
        (lambda: ReadImages("gs://bucket/a.jpg"), "it is str; give ReadOptions"),
    ],
)
def test_a_wrong_argument_is_refused_where_the_transform_is_made(
    make: Callable[[], object], problem: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        make()


def test_the_short_forms_do_what_the_long_ones_do(
    photos: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    model = str(vit_folder)
    with make_pipeline() as pipeline:
        refs = pipeline | ListImages(str(photos))
        prepared = refs | ReadImages() | PrepareImages(model)
        assert_that(prepared, _check_types([PixelArray] * 40 + [Failure] * 5), "Prepared")
        for name, classify in (
            ("Keywords", ClassifyImages(model, top_k=1)),
            ("Options", ClassifyImages(ModelOptions(model, top_k=1))),
            ("Both", ClassifyImages(ModelOptions(model), top_k=1)),
        ):
            labels = (refs | name >> classify).outcomes | f"{name}Count" >> beam.Map(_count_labels)
            assert_that(labels, equal_to([1] * 40 + [0] * 5), f"{name}Right")


def _count_labels(outcome: Outcome) -> int:
    return len(outcome.labels) if isinstance(outcome, Prediction) else 0
