"""A sink finds by itself what classified its input, and how many outcomes there have to be."""

import pathlib
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from imgcls_beam import (
    ClassifyImages,
    ClassifyImagesByModel,
    Failure,
    ModelOptions,
    ModelSource,
    Prediction,
)
from imgcls_beam.upstream import count_taken, find_classifications
from tests.runners import make_pipeline

A, B = (ModelSource(name, name * 40, f"owner/{name}", name * 40) for name in "ab")
URIS = ["gs://b/1.jpg", "gs://b/2.jpg", "gs://b/3.jpg"]


def classify(source: ModelSource, **asked: Any) -> ClassifyImages:
    return ClassifyImages("owner/model", source=source, **asked)


def take_as_it_is(refs: beam.PCollection) -> beam.PCollection:
    return (refs | classify(A, top_k=3)).outcomes


def take_the_good(refs: beam.PCollection) -> beam.PCollection:
    return (refs | classify(A, top_k=3)).predictions


def change(refs: beam.PCollection) -> beam.PCollection:
    outcomes = (refs | classify(A, top_k=3)).outcomes
    return outcomes | "Same" >> beam.Map(lambda each: each) | beam.Reshuffle()


def split_and_join(refs: beam.PCollection) -> beam.PCollection:
    outcomes = (refs | classify(A, top_k=3)).outcomes
    good = outcomes | "Good" >> beam.Filter(lambda each: isinstance(each, Prediction))
    bad = outcomes | "Bad" >> beam.Filter(lambda each: isinstance(each, Failure))
    return (good, bad) | beam.Flatten()


def join_what_it_gives_apart(refs: beam.PCollection) -> beam.PCollection:
    classified = refs | classify(A, top_k=3)
    return (classified.predictions, classified.failures) | beam.Flatten()


def join_two_models(refs: beam.PCollection) -> beam.PCollection:
    first = (refs | "First" >> classify(A, top_k=3)).outcomes
    second = (refs | "Second" >> classify(B, function_to_apply="none")).outcomes
    return (first, second) | beam.Flatten()


def join_models_of_one_decoding(refs: beam.PCollection) -> beam.PCollection:
    models = [ModelOptions("demo/model", top_k=3), ModelOptions("demo/model", top_k=1)]
    parts = refs | ClassifyImagesByModel(models)
    return [each.outcomes for each in parts] | beam.Flatten()


def take_nothing(refs: beam.PCollection) -> beam.PCollection:
    return refs | beam.Map(lambda each: each)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (take_as_it_is, [(A, 3, None)]),
        (take_the_good, [(A, 3, None)]),
        (change, [(A, 3, None)]),
        (split_and_join, [(A, 3, None)]),
        (join_what_it_gives_apart, [(A, 3, None)]),
        (join_two_models, [(A, 3, None), (B, 5, "none")]),
        (take_nothing, []),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_classified_is_found_whatever_was_applied_since(
    build: Callable[[beam.PCollection], beam.PCollection], expected: list[Any]
) -> None:
    refs = make_pipeline() | beam.Create(URIS)
    found = find_classifications(build(refs))
    asked = [(f.scoring.model, f.scoring.top_k, f.scoring.function_to_apply) for f in found]
    assert sorted(asked, key=str) == expected
    assert all(each.taken is refs for each in found)


def test_models_of_one_decoding_are_found_each() -> None:
    refs = make_pipeline() | beam.Create(URIS)
    found = find_classifications(join_models_of_one_decoding(refs))
    assert sorted(str(each.scoring.top_k) for each in found) == ["1", "3"]
    assert all(each.taken is refs for each in found)


@pytest.mark.parametrize("windows", [False, True])
def test_outcomes_are_counted_where_the_images_come_in(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path, windows: bool
) -> None:
    uris = [str(tmp_path / f"{name}.jpg") for name in "abc"]
    with make_pipeline() as pipeline:
        refs = pipeline | beam.Create(uris)
        if windows:
            timed = refs | beam.Map(lambda each: TimestampedValue(each, len(each)))
            refs = timed | beam.WindowInto(FixedWindows(1))
        first = (refs | "First" >> ClassifyImages(str(vit_folder))).outcomes
        second = (refs | "Second" >> ClassifyImages(str(vit_folder))).outcomes
        lost = first | "Lose" >> beam.Filter(lambda each: False)
        assert_that((lost, second) | beam.Flatten() | "Sink" >> _Count(), equal_to([6]))


def test_where_nothing_classifies_the_outcomes_are_counted() -> None:
    with make_pipeline() as pipeline:
        outcomes = pipeline | beam.Create(URIS) | beam.Filter(lambda each: "2" not in each)
        assert_that(outcomes | "Sink" >> _Count(), equal_to([2]))


class _Count(beam.PTransform):
    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        return count_taken(outcomes)
