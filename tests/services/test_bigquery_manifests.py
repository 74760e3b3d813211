"""`bq:` manifests: tables of BigQuery that name images, through a running emulator."""

import json
from typing import Any

import pytest
from google.cloud.bigquery import SchemaField, Table

from imgcls_beam.attributes import encode_attributes
from imgcls_beam.bigquery import TableName
from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode
from imgcls_beam.listing.manifests import list_manifest
from imgcls_beam.options import ManifestOptions
from tests.bigquery import Emulator, ask, make_client, make_dataset

_SCHEMA = [
    SchemaField("uri", "STRING"),
    SchemaField("number", "INTEGER"),
    SchemaField("day", "DATE"),
    SchemaField("made_at", "TIMESTAMP"),
    SchemaField(
        "image", "RECORD", fields=[SchemaField("uri", "STRING"), SchemaField("side", "STRING")]
    ),
    SchemaField("tags", "STRING", "REPEATED"),
    SchemaField("price", "NUMERIC"),
    SchemaField("share", "FLOAT"),
    SchemaField("digest", "BYTES"),
]
_ROWS = """
('gs://b/[a].jpg', 1, DATE '2026-01-02', TIMESTAMP '2026-01-02 03:04:05+00',
 STRUCT('gs://b/u.jpg' AS uri, 'left' AS side), ['p', 'q'], NUMERIC '1.5',
 CAST('nan' AS FLOAT64), b'abc'),
('b/relative.jpg', 2, NULL, NULL, NULL, [], NULL, NULL, NULL),
(NULL, 3, NULL, NULL, NULL, [], NULL, NULL, NULL),
('/data/absolute.jpg', 4, NULL, NULL, NULL, [], NULL, NULL, NULL)
"""


@pytest.fixture(scope="module")
def manifest(bigquery_emulator: Emulator) -> TableName:
    del bigquery_emulator
    name = make_dataset().beside("images")
    make_client().create_table(Table(str(name), schema=_SCHEMA))
    columns = ", ".join(field.name for field in _SCHEMA)
    ask(f"INSERT INTO `{name}` ({columns}) VALUES {_ROWS}")
    ask(f"CREATE VIEW `{name}_view` AS SELECT uri FROM `{name}`")
    return name


def list_table(
    name: object, uri_column: str | None, *carry_columns: str, allow: tuple[str, ...] = ()
) -> list[ImageRef | Failure]:
    options = ManifestOptions(f"bq:{name}", uri_column, None, carry_columns)
    return list(list_manifest(options, allow))


def test_each_row_names_an_image_or_says_why_not(manifest: TableName) -> None:
    first, relative, null, absolute = list_table(manifest, "uri")
    assert first == ImageRef("gs://b/[a].jpg")
    failures = ((1, relative, "relative"), (2, null, "no image"), (3, absolute, "this machine"))
    for number, failure, message in failures:
        assert isinstance(failure, Failure)
        assert failure.code is FailureCode.INVALID_REFERENCE
        assert failure.ref.uri == f"bq:{manifest}::{number}"
        assert message in failure.message


def decode(ref: ImageRef) -> Any:
    return json.loads(encode_attributes(ref.attributes or {}))


def test_carried_columns_come_back_as_json_whatever_their_type(manifest: TableName) -> None:
    names = [field.name for field in _SCHEMA[1:]]
    first, *_, last = list_table(manifest, "uri", *names, "image.side", allow=("file",))
    assert isinstance(first, ImageRef)
    assert isinstance(last, ImageRef)
    assert decode(first) == {
        "number": 1,
        "day": "2026-01-02",
        "made_at": "2026-01-02T03:04:05+00:00",
        "image": {"uri": "gs://b/u.jpg", "side": "left"},
        "tags": ["p", "q"],
        "price": "1.500000000",
        "share": None,
        "digest": "YWJj",
        "image.side": "left",
    }
    nothing = dict.fromkeys([*names, "image.side"])
    assert decode(last) == nothing | {"number": 4, "tags": []}


def test_a_field_of_a_struct_may_name_the_images(manifest: TableName) -> None:
    first, *others = list_table(str(manifest), "image.uri")
    assert first == ImageRef("gs://b/u.jpg")
    assert all(isinstance(other, Failure) for other in others)
    assert len(others) == 3


@pytest.mark.parametrize(
    ("table", "column", "carried", "option", "problem"),
    [
        ("images", None, (), "uri_column", "name the column of image URIs; columns: uri, number"),
        ("images", "url", (), "uri_column", "no such column; columns: uri, number, day"),
        ("images", "uri", ("image.up",), "carry_columns", "no such column"),
        ("images", "uri", ("tags.x",), "carry_columns", "no such column"),
        ("images", "number", (), "uri_column", "it holds nullable INTEGER, not text"),
        ("images", "tags", (), "uri_column", "it holds repeated STRING, not text"),
        ("images", "image", (), "uri_column", "it holds nullable RECORD, not text"),
        ("images_view", "uri", (), "input_manifest", "it is a view, and only tables are read"),
        ("absent", "uri", (), "input_manifest", "there is no such table"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(
    manifest: TableName,
    table: str,
    column: str | None,
    carried: tuple[str, ...],
    option: str,
    problem: str,
) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        list_table(manifest.beside(table), column, *carried)
    assert refused.value.option == option


def test_a_large_table_is_read_page_by_page(
    bigquery_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    del bigquery_emulator
    monkeypatch.setattr("imgcls_beam.listing.bigquery_manifests._PAGE_ROWS", 1_000)
    name = make_dataset().beside("images")
    ask(
        f"CREATE TABLE `{name}` AS SELECT CONCAT('gs://b/', CAST(n AS STRING)) AS uri "
        "FROM UNNEST(GENERATE_ARRAY(1, 3500)) AS n"
    )
    listed = list_table(name, "uri")
    assert {ref.uri for ref in listed if isinstance(ref, ImageRef)} == {
        f"gs://b/{n}" for n in range(1, 3501)
    }
    assert len(listed) == 3500
