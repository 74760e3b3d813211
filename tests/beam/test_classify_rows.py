"""Rows in, the same rows with what the model says out; every field survives."""

import datetime
import pathlib
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.utils.timestamp import Timestamp

from imgcls_beam import ClassifyImages, ClassifyRows, ConfigError
from imgcls_beam.classify_rows import RESULT_FIELDS
from imgcls_beam.models import resolve_model
from tests.models import LABELS
from tests.runners import make_pipeline
from tests.scenes import draw_photo, encode, write_broken, write_photos


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> list[str]:
    """Four good images and two bad ones."""
    write_photos(tmp_path / "photos", 4)
    write_broken(tmp_path / "photos", 2)
    return [str(path) for path in sorted((tmp_path / "photos").iterdir())]


def test_rows_say_what_the_model_says(photos: list[str], vit_folder: pathlib.Path) -> None:
    with make_pipeline() as pipeline:
        uris = pipeline | beam.Create(photos)
        outcomes = (uris | ClassifyImages(str(vit_folder), top_k=3)).predictions
        expected = outcomes | "Expected" >> beam.Map(
            lambda each: (each.ref.uri, each.labels[0].label, each.labels[0].score, each.margin)
        )
        rows = uris | beam.Select(uri=str) | ClassifyRows(str(vit_folder), top_k=3)
        good = rows | beam.Filter(lambda row: row.status == "ok")
        found = good | "Found" >> beam.Map(
            lambda row: (row.uri, row.top_label, row.top_score, row.top_margin)
        )
        both = {"expected": expected | "A" >> beam.Map(_by_uri), "found": found | beam.Map(_by_uri)}
        pairs = both | beam.CoGroupByKey() | beam.Map(lambda pair: pair[1])

        def look(elements: list[Any]) -> None:
            assert len(elements) == 4
            for each in elements:
                (mine,), (theirs,) = each["found"], each["expected"]
                assert mine[:2] == theirs[:2]
                assert mine[2:] == pytest.approx(theirs[2:], abs=1e-6)

        assert_that(pairs, look)


def _by_uri(element: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    return element[0], element


class Item(NamedTuple):
    """What a user's own pipeline may have."""

    sku: int
    photo: str
    at: Timestamp
    sizes: list[int]
    note: str | None


def test_every_field_of_the_input_comes_back_across_a_shuffle(
    photos: list[str], vit_folder: pathlib.Path
) -> None:
    noon = Timestamp.from_utc_datetime(datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC))
    items = [
        Item(index, uri, noon, [index, index + 1], None if index % 2 else "a note")
        for index, uri in enumerate(photos)
    ]
    with make_pipeline() as pipeline:
        rows = (
            pipeline
            | beam.Create(items).with_output_types(Item)
            | ClassifyRows(str(vit_folder), top_k="all", uri_field="photo")
            | beam.Reshuffle()
        )

        def look(elements: list[Any]) -> None:
            found = sorted(elements, key=lambda row: row.sku)
            assert [Item(*row[:5]) for row in found] == items
            assert [row.status for row in found] == ["ok"] * 4 + ["error"] * 2
            assert all(row._fields == (*Item._fields, *RESULT_FIELDS) for row in found)
            assert [len(row.predictions) for row in found] == [LABELS] * 4 + [0] * 2
            for row in found[:4]:
                scores = [each.score for each in row.predictions]
                assert scores == sorted(scores, reverse=True)
                best = row.predictions[0]
                assert (row.top_label, row.top_score) == (best.label, best.score)
                assert row.error is None
            stages = [(row.error.stage, row.error.code, row.error.attempts) for row in found[4:]]
            assert stages == [("read", "empty", 1), ("prepare", "not_an_image", 1)]
            assert {row.model_key for row in found} == {resolve_model(str(vit_folder), None).key}

        assert_that(rows, look)


def test_errors_go_to_an_output_of_their_own(photos: list[str], vit_folder: pathlib.Path) -> None:
    with make_pipeline() as pipeline:
        rows = pipeline | beam.Create(photos) | beam.Select(uri=str)
        classified = rows | ClassifyRows(str(vit_folder), error_handling={"output": "bad"})
        assert classified.keys() == {"good", "bad"}
        good = classified["good"] | beam.Map(lambda row: (row.uri, row.status))
        bad = classified["bad"] | beam.Reshuffle() | "Bad" >> beam.Map(_flatten_error)
        assert_that(good, equal_to([(uri, "ok") for uri in photos[:4]]), "CheckGood")
        expected = [
            (photos[4], "read: empty: the object has no bytes", "", "read", "empty"),
            (
                photos[5],
                "prepare: not_an_image: not an image: it looks like an HTML page",
                *("", "prepare", "not_an_image"),
            ),
        ]
        assert_that(bad, equal_to(expected), "CheckBad")


def _flatten_error(row: Any) -> tuple[Any, ...]:
    assert row.uri == row.element.uri
    return row.element.uri, row.msg, row.stack, row.stage, row.code


def test_images_may_lie_in_the_rows_themselves(vit_folder: pathlib.Path) -> None:
    fields = [("name", str | None), ("data", bytes | None)]
    big = encode(draw_photo(1, (400, 300)), "BMP")
    rows = [
        beam.Row(name="a", data=encode(draw_photo(1))),
        beam.Row(name=None, data=encode(draw_photo(2))),
        beam.Row(name="none", data=None),
        beam.Row(name="big", data=big),
        beam.Row(name="empty", data=b""),
    ]
    classify = ClassifyRows(str(vit_folder), image_field="data", max_image_bytes=len(big) - 1)
    with make_pipeline() as pipeline:
        given = pipeline | beam.Create(rows).with_output_types(
            RowTypeConstraint.from_fields(fields)
        )
        classified = given | classify | beam.Reshuffle()
        assert_that(
            classified | beam.Map(lambda row: (row[0], row.status, row.error and row.error.code)),
            equal_to(
                [
                    *(("a", "ok", None), (None, "ok", None)),
                    ("none", "error", "invalid_reference"),
                    ("big", "error", "too_many_bytes"),
                    ("empty", "error", "empty"),
                ]
            ),
        )
        names = classified | "Fields" >> beam.Map(lambda row: row._fields[:2])
        assert_that(names, equal_to([("name", "status")] * 5), "NoBytes")


def test_a_row_without_a_uri_is_one_error(photos: list[str], vit_folder: pathlib.Path) -> None:
    rows = [beam.Row(uri=photos[0]), beam.Row(uri=None), beam.Row(uri="http://127.0.0.1:9/a.jpg")]
    row_type = RowTypeConstraint.from_fields([("uri", str | None)])
    with make_pipeline() as pipeline:
        given = pipeline | beam.Create(rows).with_output_types(row_type)
        classified = given | ClassifyRows(str(vit_folder))
        codes = classified | beam.Map(lambda row: row.error.code if row.error else row.status)
        expected = ["ok", "invalid_reference", "unreadable"]
        assert_that(codes, equal_to(expected))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"uri_field": "photo"}, "no such field; it has uri, status"),
        ({"image_field": "photo"}, "no such field; it has uri, status"),
        ({}, "field='status': a result has this name"),
    ],
)
def test_fields_are_checked_while_the_graph_is_built(options: dict[str, str], said: str) -> None:
    rows = make_pipeline() | beam.Create([beam.Row(uri="a", status="new")])
    with pytest.raises(ConfigError, match=said):
        _ = rows | ClassifyRows("never/loaded", **options)  # type: ignore[arg-type]


def test_elements_without_a_schema_are_refused(vit_folder: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="has no schema"):
        _ = make_pipeline() | beam.Create(["a.jpg"]) | ClassifyRows(str(vit_folder))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("top_k", "most"),
        ("top_k", 0),
        ("device", "tpu"),
        ("max_image_bytes", 0),
        ("error_handling", {}),
        ("error_handling", {"output": "good"}),
        ("error_handling", {"output": "bad", "threshold": 1}),
    ],
)
def test_options_are_checked_where_the_pipeline_is_written(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=option):
        ClassifyRows(**{option: value})
