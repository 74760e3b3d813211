"""Parquet manifests: rows that name images, and cells that hold them."""

import datetime
import decimal
import json
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.attributes import encode_attributes
from imgcls_beam.elements import Failure, ImageRef, TableCell
from imgcls_beam.errors import ConfigError, FailureCode
from imgcls_beam.listing.folders import list_input
from imgcls_beam.listing.manifests import list_manifest
from imgcls_beam.options import ManifestOptions

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def write(path: pathlib.Path, columns: dict[str, Any], **how: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **how)
    return str(path)


def list_refs(url: str, **options: Any) -> list[ImageRef]:
    listed = list(list_manifest(ManifestOptions(url, **options)))
    refs = [each for each in listed if isinstance(each, ImageRef)]
    assert len(refs) == len(listed)
    return refs


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
)
@pytest.mark.parametrize("row_group_size", [1, 3, 100])
def test_rows_name_images_and_those_that_name_none_are_failures(
    tmp_path: pathlib.Path, kind: pa.DataType, row_group_size: int
) -> None:
    uris = pa.array(["a.jpg", None, "/b.jpg", "", "gs://c/d.jpg", "e\n.jpg"], kind)
    columns = {"n": range(6), "uri": uris}
    url = write(tmp_path / "t.parquet", columns, row_group_size=row_group_size)
    listed = list(list_manifest(ManifestOptions(url, "uri", carry_columns=("n",))))
    found = [
        f"!{each.ref.uri} {each.ref.attributes}" if isinstance(each, Failure) else each.uri
        for each in listed
    ]
    assert found == [
        *(f"file://{tmp_path}/a.jpg", f"!file://{url}::1 {{'n': 1}}", "file:///b.jpg"),
        *(f"!file://{url}::3 {{'n': 3}}", "gs://c/d.jpg", f"!file://{url}::5 {{'n': 5}}"),
    ]


def test_a_field_of_a_struct_names_images_too_and_a_dotted_name_comes_first(
    tmp_path: pathlib.Path,
) -> None:
    inner = [{"path": "x.jpg", "n": 1}, None, {"path": None, "n": 2}]
    url = write(tmp_path / "t.parquet", {"image": inner, "image.n": ["p", "q", "r"]})
    options = ManifestOptions(url, "image.path", carry_columns=("image.n", "image"))
    first, *others = list_manifest(options)
    assert isinstance(first, ImageRef)
    assert first.attributes == {"image.n": "p", "image": inner[0]}
    assert [isinstance(each, Failure) for each in others] == [True, True]


UTC = datetime.UTC
WHEN = datetime.datetime(2026, 11, 23, 1, 2, 3, 456789)
CARRIED: list[tuple[pa.DataType, Any, Any]] = [
    (pa.int64(), 2**62, 2**62),
    (pa.float64(), 0.1, 0.1),
    (pa.float32(), 0.5, 0.5),
    (pa.float64(), float("nan"), None),
    (pa.bool_(), True, True),
    (pa.string(), "é\n", "é\n"),
    (pa.dictionary(pa.int8(), pa.string()), "cat", "cat"),
    (pa.list_(pa.int32()), [1, None], [1, None]),
    (pa.struct({"a": pa.list_(pa.float64())}), {"a": [1.5]}, {"a": [1.5]}),
    (pa.timestamp("us"), WHEN, "2026-11-23T01:02:03.456789"),
    (pa.timestamp("s", "UTC"), WHEN.replace(microsecond=0), "2026-11-23T01:02:03+00:00"),
    (pa.timestamp("ns", "Europe/Vienna"), 10**9, "1970-01-01T00:00:01+00:00"),
    (pa.timestamp("ns"), 10**9 + 1000, "1970-01-01T00:00:01.000001"),
    (pa.list_(pa.struct({"t": pa.timestamp("ns")})), [{"t": 0}], [{"t": "1970-01-01T00:00:00"}]),
    (pa.date32(), WHEN.date(), "2026-11-23"),
    (pa.time64("ns"), 10**9 + 7000, "00:00:01.000007"),
    (pa.duration("ms"), datetime.timedelta(seconds=1.5), 1.5),
    (pa.decimal128(9, 2), decimal.Decimal("1.50"), "1.50"),
    (pa.binary(), b"\x00\xff", "AP8="),
    (pa.null(), None, None),
]


@pytest.mark.parametrize(("kind", "value", "expected"), CARRIED, ids=lambda each: str(each)[:30])
def test_carried_columns_become_json(
    tmp_path: pathlib.Path, kind: pa.DataType, value: Any, expected: Any
) -> None:
    column = pa.array([value, None], kind)
    url = write(tmp_path / "t.parquet", {"uri": ["a.jpg", "b.jpg"], "x": column})
    refs = list_refs(url, uri_column="uri", carry_columns=("x",))
    found = [
        json.loads(encode_attributes(ref.attributes or {}), parse_constant=pytest.fail)
        for ref in refs
    ]
    assert found == [{"x": expected}, {"x": None}]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), IMAGE])
@pytest.mark.parametrize("carry", [(), ("n", "image.path")])
def test_cells_are_listed_by_their_row_and_keep_the_marks_of_their_file(
    tmp_path: pathlib.Path, kind: pa.DataType, carry: tuple[str, ...]
) -> None:
    is_struct = pa.types.is_struct(kind)
    if not is_struct:
        carry = carry[:1]
    data = [b"%d" % number for number in range(5)]
    cells = [{"bytes": each, "path": f"{each!r}"} for each in data] if is_struct else data
    columns = {"n": range(5), "image": pa.array(cells, kind)}
    url = write(tmp_path / "t.parquet", columns, row_group_size=2)
    (file,) = list_input(url)
    refs = list_refs(url, image_column="image", carry_columns=carry)
    assert [ref.uri for ref in refs] == [f"file://{url}::{row}" for row in range(5)]
    places = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    assert [ref.locator for ref in refs] == [TableCell(g, r, "image") for g, r in places]
    assert {(ref.version, ref.updated_at) for ref in refs} == {(file.version, file.updated_at)}
    assert {ref.object_uri for ref in refs} == {file.uri}
    assert {ref.size_bytes for ref in refs} == {None}
    if not carry:
        assert [ref.attributes for ref in refs] == [None] * 5
    else:
        carried = [ref.attributes or {} for ref in refs]
        assert [each["n"] for each in carried] == [0, 1, 2, 3, 4]
        assert [list(each) for each in carried] == [list(carry)] * 5


def test_a_folder_gives_its_parquet_files_by_name_and_none_that_engines_left_there(
    tmp_path: pathlib.Path,
) -> None:
    names = ("b.parquet", "a/x.PARQUET", "_delta_log/c.parquet", "a/.tmp.parquet", "d.csv", "_m")
    for name in names:
        write(tmp_path / name, {"uri": [f"/{name}.jpg"]})
    expected = ["file:///a/x.PARQUET.jpg", "file:///b.parquet.jpg"]
    for url in (f"{tmp_path}", f"{tmp_path}/"):
        assert [ref.uri for ref in list_refs(url, uri_column="uri")] == expected
    hidden = f"{tmp_path}/_delta_log/c.parquet"
    assert len(list_refs(hidden, uri_column="uri")) == 1
    assert len(list_refs(f"{tmp_path}/_delta_log", uri_column="uri")) == 1
    assert len(list_refs(f"{tmp_path}/**/*.parquet", uri_column="uri")) == 3


def test_files_are_opened_one_after_the_other(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a.parquet", {"image": [b"1", b"2"]})
    (tmp_path / "b.parquet").write_bytes(b"PAR1 is not all there is to it PAR1")
    listed = list_manifest(ManifestOptions(str(tmp_path), image_column="image"))
    assert [isinstance(next(listed), ImageRef) for _ in range(2)] == [True, True]
    with pytest.raises(ConfigError, match=r"b\.parquet"):
        next(listed)


def test_a_table_without_rows_lists_nothing(tmp_path: pathlib.Path) -> None:
    url = write(tmp_path / "t.parquet", {"uri": pa.array([], pa.string())})
    assert list_refs(url, uri_column="uri") == []


COLUMNS = {
    "uri": ["a.jpg"],
    "n": [1],
    "raw": [b"x"],
    "many": [[{"bytes": b"x", "path": "p"}]],
    "odd": [{"bytes": "text", "path": "p"}],
    "image": pa.array([{"bytes": b"x", "path": "p"}], IMAGE),
}


@pytest.mark.parametrize(
    ("options", "option", "problem"),
    [
        ({}, "uri_column", "name the column of image URIs; columns: uri, n, raw, many"),
        ({"uri_column": "foto"}, "uri_column", "no such column; columns: uri, n"),
        ({"uri_column": "image.name"}, "uri_column", "no such column"),
        ({"uri_column": "uri.name"}, "uri_column", "no such column"),
        ({"uri_column": "n"}, "uri_column", "holds int64, not text"),
        ({"uri_column": "raw"}, "uri_column", "name it as image_column"),
        ({"uri_column": "image"}, "uri_column", "struct<bytes: binary, path: string>"),
        ({"uri_column": "uri", "carry_columns": ("x",)}, "carry_columns", "no such column"),
        ({"image_column": "foto"}, "image_column", "no such column; columns: uri, n"),
        ({"image_column": "uri"}, "image_column", "it holds string; allowed: binary"),
        ({"image_column": "many"}, "image_column", "it holds list<"),
        ({"image_column": "odd"}, "image_column", "it holds struct<bytes: string"),
        ({"image_column": "image", "carry_columns": ("x",)}, "carry_columns", "no such column"),
        ({"image_column": "image", "carry_columns": ("image",)}, "carry_columns", "the images"),
        ({"image_column": "raw", "carry_columns": ("n", "raw")}, "carry_columns", "the images"),
    ],
)
def test_a_column_that_cannot_be_used_is_refused_by_name_and_type(
    tmp_path: pathlib.Path, options: dict[str, Any], option: str, problem: str
) -> None:
    url = write(tmp_path / "t.parquet", COLUMNS)
    with pytest.raises(ConfigError) as caught:
        list(list_manifest(ManifestOptions(url, **options)))
    assert caught.value.option == option
    assert problem in caught.value.problem
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"uri\na.jpg\n", b"x" * 1000 + b"PAR1"])
@pytest.mark.parametrize("options", [{"uri_column": "uri"}, {"image_column": "uri"}])
def test_what_is_no_parquet_file_is_refused(
    tmp_path: pathlib.Path, content: bytes, options: dict[str, str]
) -> None:
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(ConfigError, match=r"t\.parquet") as caught:
        list(list_manifest(ManifestOptions(f"{tmp_path}/t.parquet", **options)))
    assert caught.value.option == "input_manifest"


def test_a_path_with_two_colons_holds_no_images_that_could_be_told_apart(
    tmp_path: pathlib.Path,
) -> None:
    url = write(tmp_path / "a::b.parquet", {"image": [b"x"], "uri": ["a.jpg"]})
    assert list_refs(url, uri_column="uri") == [ImageRef(f"file://{tmp_path}/a.jpg")]
    with pytest.raises(ConfigError, match="must not hold ::"):
        list_refs(url, image_column="image")


def test_a_failure_of_a_row_has_the_marks_of_the_table(tmp_path: pathlib.Path) -> None:
    url = write(tmp_path / "t.parquet", {"uri": pa.array([None], pa.string())})
    (file,) = list_input(url)
    (failure,) = list_manifest(ManifestOptions(url, "uri"))
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.INVALID_REFERENCE
    assert (failure.ref.version, failure.ref.size_bytes) == (file.version, None)
