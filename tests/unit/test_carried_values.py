"""Carried values that Python, JSON or UTF-8 does not have: none is cut, none looks like another."""

import json
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.attributes import encode_attributes, find_attributes_problem
from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing.manifests import list_manifest
from imgcls_beam.listing.reference_groups import group_references
from imgcls_beam.options import ManifestOptions

NO_TIME = "!the line's column v holds a time that no day has"
NO_TEXT = "the line's column v holds text that is not UTF-8"
DAY_S = 86_400


def make_text(*cells: bytes | None) -> pa.Array:
    """Text of any bytes; pyarrow's own constructors take none that is not UTF-8."""
    return pa.array(cells, pa.binary()).view(pa.string())


def list_parquet(
    folder: pathlib.Path, column: pa.Array, **options: Any
) -> list[ImageRef | Failure]:
    rows = len(column)
    images = pa.array([b"x"] * rows, pa.binary())
    table = pa.table({"uri": ["a.jpg"] * rows, "image": images, "v": column})
    pq.write_table(table, folder / "m.parquet")
    options = options or {"uri_column": "uri", "carry_columns": ("v",)}
    return list(list_manifest(ManifestOptions(str(folder / "m.parquet"), **options)))


def list_jsonl(folder: pathlib.Path, *values: str) -> list[ImageRef | Failure]:
    lines = [f'{{"uri": "a.jpg", "v": {value}}}\n' for value in values]
    (folder / "m.jsonl").write_text("".join(lines))
    options = ManifestOptions(str(folder / "m.jsonl"), "uri", carry_columns=("v",))
    return list(list_manifest(options))


def show(listed: list[ImageRef | Failure]) -> list[Any]:
    """What a row says of the carried column; of a failure its sentence, behind `!`."""
    for each in listed:
        if isinstance(each, Failure):
            assert (each.code, each.ref.attributes) == (FailureCode.INVALID_REFERENCE, None)
            assert "::" in each.ref.uri
    return [
        f"!{each.message}"
        if isinstance(each, Failure)
        else json.loads(encode_attributes(each.attributes or {}))["v"]
        for each in listed
    ]


LATIN = make_text(b"Gr\xf6\xdfe", None, "Größe".encode())
NESTED: dict[str, tuple[pa.Array, Any]] = {
    "text": (LATIN, "Größe"),
    "large": (LATIN.cast(pa.large_binary()).view(pa.large_string()), "Größe"),
    "dictionary": (LATIN.dictionary_encode(), "Größe"),
    "struct": (
        pa.StructArray.from_arrays([LATIN], ["x"], mask=pa.array([False, True, False])),
        {"x": "Größe"},
    ),
    "list": (pa.ListArray.from_arrays([0, None, 1, 3], LATIN), [None, "Größe"]),
    "map": (
        pa.MapArray.from_arrays([0, None, 1, 3], pa.array(["k", "l", "m"]), LATIN),
        [["l", None], ["m", "Größe"]],
    ),
}


@pytest.mark.parametrize(("column", "last"), NESTED.values(), ids=list(NESTED))
def test_text_of_parquet_that_is_not_utf_8_is_an_error_row_that_names_the_column(
    tmp_path: pathlib.Path, column: pa.Array, last: Any
) -> None:
    assert show(list_parquet(tmp_path, column)) == [f"!{NO_TEXT}", None, last]
    carried = {"image_column": "image", "carry_columns": ("v",)}
    assert show(list_parquet(tmp_path, column, **carried)) == [f"!{NO_TEXT}", None, last]


def test_a_uri_of_parquet_that_is_not_utf_8_is_said_to_be_so(tmp_path: pathlib.Path) -> None:
    listed = list_parquet(tmp_path, make_text(b"\xf6.jpg", b"a.jpg", None), uri_column="v")
    messages = [each.message for each in listed if isinstance(each, Failure)]
    no_uri = "the line names no image: there is no text where its URI should be"
    assert messages == [NO_TEXT, no_uri]


def test_a_struct_with_two_fields_of_one_name_is_an_error_row(tmp_path: pathlib.Path) -> None:
    twins = pa.StructArray.from_arrays([pa.array([1, 2]), pa.array([3, 4])], ["a", "a"])
    problem = "!the line's column v holds a struct with two fields of one name"
    assert show(list_parquet(tmp_path, twins)) == [problem, problem]


TIMES: list[tuple[pa.DataType, list[int], list[Any]]] = [
    (
        pa.timestamp("ns"),
        [1_767_225_600_000_000_005, 1_767_225_600_000_000_006, 1_767_225_600_000_001_000, -1],
        [
            *("2026-01-01T00:00:00.000000005", "2026-01-01T00:00:00.000000006"),
            *("2026-01-01T00:00:00.000001", "1969-12-31T23:59:59.999999999"),
        ],
    ),
    (pa.timestamp("ns", "Europe/Vienna"), [5], ["1970-01-01T00:00:00.000000005+00:00"]),
    (
        pa.timestamp("us"),
        [253_402_300_799_999_999, 253_402_300_800_000_000, 253_402_300_800_000_001, 10**18],
        [
            *("9999-12-31T23:59:59.999999", "+10000-01-01T00:00:00"),
            *("+10000-01-01T00:00:00.000001", "+33658-09-27T01:46:40"),
        ],
    ),
    (pa.timestamp("ms", "UTC"), [253_402_300_800_001], ["+10000-01-01T00:00:00.001000+00:00"]),
    (
        pa.timestamp("us"),
        [-719_162 * DAY_S * 10**6, -719_162 * DAY_S * 10**6 - 1, -719_529 * DAY_S * 10**6],
        ["0001-01-01T00:00:00", "0000-12-31T23:59:59.999999", "-0001-12-31T00:00:00"],
    ),
    (
        pa.date32(),
        [2_932_896, 2_932_897, 2**31 - 1],
        ["9999-12-31", "+10000-01-01", "+5881580-07-11"],
    ),
    (
        pa.time64("ns"),
        [7000, 7, DAY_S * 10**9],
        ["00:00:00.000007", "00:00:00.000000007", NO_TIME],
    ),
    (pa.time64("us"), [7, DAY_S * 10**6], ["00:00:00.000007", NO_TIME]),
    (
        pa.duration("ns"),
        [1_500_000_000, 5, 1_767_225_600_000_000_005, -1],
        [1.5, 5e-9, "1767225600.000000005", -1e-9],
    ),
    (pa.duration("us"), [2**62 + 1], ["4611686018427.387905"]),
]


@pytest.mark.parametrize(("kind", "values", "expected"), TIMES, ids=lambda each: str(each)[:30])
def test_times_keep_all_of_their_digits(
    tmp_path: pathlib.Path, kind: pa.DataType, values: list[int], expected: list[Any]
) -> None:
    width = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    column = pa.array(values, width).view(kind)
    assert show(list_parquet(tmp_path, column)) == expected


@pytest.mark.parametrize("wrap", [pa.list_, pa.large_list, lambda kind: pa.list_(kind, 1)])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [(pa.timestamp("ns"), "1970-01-01T00:00:00.000000005"), (pa.duration("ns"), 5e-9)],
)
def test_times_within_lists_keep_their_digits_too(
    tmp_path: pathlib.Path, wrap: Any, kind: pa.DataType, expected: Any
) -> None:
    assert show(list_parquet(tmp_path, pa.array([[5]], wrap(kind)))) == [[expected]]


def count(listed: list[ImageRef | Failure]) -> int:
    return sum(1 for _ in group_references(listed))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2], pa.timestamp("ns")),
        pa.array([10**18, 10**18 + 1], pa.timestamp("us")),
        make_text(b"\xf6", b"\xfc"),
        pa.array([float("inf"), float("-inf")]),
        pa.array([float("nan"), None]),
        pa.array([[float("nan")], [None]]),
    ],
    ids=lambda each: str(each.type),
)
def test_rows_that_differ_only_in_what_does_not_fit_are_two_references(
    tmp_path: pathlib.Path, column: pa.Array
) -> None:
    assert count(list_parquet(tmp_path, column)) == 2


def test_numbers_that_json_does_not_have_are_null_in_rows_and_no_nulls_of_the_manifest(
    tmp_path: pathlib.Path,
) -> None:
    listed = list_jsonl(tmp_path, "null", "NaN", "1e400", "-Infinity", "[NaN]", "[null]", "NaN")
    assert show(listed) == [None, None, None, None, [None], [None], None]
    assert count(listed) == 6


@pytest.mark.parametrize(
    ("value", "is_read"),
    [
        *((r'"A\ud800"', False), (r'"A\udfff"', False), (r'["x", {"y": "\udc80"}]', False)),
        *((r'{"\ud800": 1}', False), (r'"\ud83d\udc08"', True), ('"é"', True)),
    ],
)
def test_text_that_utf_8_cannot_carry_is_an_error_row_that_names_the_column(
    tmp_path: pathlib.Path, value: str, is_read: bool
) -> None:
    (shown,) = show(list_jsonl(tmp_path, value))
    assert shown == (json.loads(value) if is_read else f"!{NO_TEXT}")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_key_of_the_path_that_is_not_utf_8_is_an_error_row_too(
    tmp_path: pathlib.Path, suffix: str
) -> None:
    found = []
    for key in ("%FF", "%FE", "%C3%A9"):
        folder = tmp_path / f"v={key}"
        folder.mkdir()
        if suffix == "parquet":
            pq.write_table(pa.table({"uri": ["a.jpg"]}), folder / "m.parquet")
        else:
            text = {"csv": "uri\na.jpg\n", "jsonl": '{"uri": "a.jpg"}\n'}[suffix]
            (folder / f"m.{suffix}").write_text(text)
        options = ManifestOptions(str(folder / f"m.{suffix}"), "uri", carry_columns=("v",))
        found += list_manifest(options)
    assert show(found) == [f"!{NO_TEXT}", f"!{NO_TEXT}", "é"]


def test_attributes_that_utf_8_cannot_carry_do_not_fit_into_a_row() -> None:
    problem = "its attribute 'b' has text that is not UTF-8"
    assert find_attributes_problem({"a": "é", "b": ["\ud800"]}) == problem
