"""Quoted fields of CSV that are longer than a field may be: one error row, and nothing is lost."""

import pathlib

import pytest

from imgcls_beam.elements import Failure
from imgcls_beam.listing.csv_manifests import MAX_FIELD_CHARS, MAX_RECORD_LINES
from imgcls_beam.listing.manifests import list_manifest
from imgcls_beam.options import ManifestOptions

LONG = "the line opens a quoted field of more than 1,000 lines or 131,072 characters (column {})"
OPEN = (
    "the line opens a quote that is never closed, or only behind lines that are records too "
    '(column {}); a quote within quotes is doubled: ""'
)
MORE = MAX_RECORD_LINES + 1


def list_csv(folder: pathlib.Path, *lines: str) -> list[str]:
    """The names of images, and for a failure its line and what it says."""
    (folder / "m.csv").write_text("\n".join(["title,photo", *lines, ""]))
    listed = list_manifest(
        ManifestOptions(str(folder / "m.csv"), "photo", carry_columns=("title",))
    )
    return [
        f"{each.ref.uri.rpartition('::')[2]}: {each.message}"
        if isinstance(each, Failure)
        else each.uri.rpartition("/")[2]
        for each in listed
    ]


PROSE = ["y", "", "Say, it", "a, b, c", 'she said ""no"", twice', "  1,2,3", "x" * 500]
FIELDS: dict[str, list[str]] = {
    "lines": ['"', *["y"] * MORE, '",0.png'],
    "many lines": ['"', *["y"] * (50 * MORE), '",0.png'],
    "characters": ['"', *["y" * 1000] * 140, '",0.png'],
    "two lines": ['"' + "x" * MAX_FIELD_CHARS, '",0.png'],
    "a long line within": ['"', "x" * MAX_FIELD_CHARS, "y", '",0.png'],
    "prose": ['"', *PROSE * 200, 'the end.",0.png'],
    "escaped quotes": ['"', *[r"a \"b\" c"] * MORE, '",0.png'],
    "the URI in another quote": ['"', *["y"] * MORE, '","0.png"'],
}


CASES = [
    pytest.param(lines, first, id=f"{name}, {'behind another' if first else 'first'}")
    for name, lines in FIELDS.items()
    for first in ([], ["mug,1.png"])
    if first or name != "prose"  # nothing has shown yet that "Say, it" names no image
]


@pytest.mark.parametrize(("lines", "first"), CASES)
def test_a_field_that_is_too_long_is_one_error_row_that_names_the_limit(
    tmp_path: pathlib.Path, lines: list[str], first: list[str]
) -> None:
    found = list_csv(tmp_path, *first, *lines, "cup,2.png", '"a\nb",3.png')
    names = ["1.png"] if first else []
    assert found == [*names, f"{len(first) + 2}: {LONG.format(1)}", "2.png", "3.png"]


def test_a_field_that_is_just_long_enough_is_read(tmp_path: pathlib.Path) -> None:
    lines = ['"', *["y"] * (MAX_RECORD_LINES - 1), '",0.png']
    assert list_csv(tmp_path, *lines) == ["0.png"]


GOOD = [f"mug {n},{n}.png" for n in range(MORE)]
NAMES = [f"{n}.png" for n in range(MORE)]


@pytest.mark.parametrize("first", [[], ["mug,k.png"]], ids=["first", "behind another"])
def test_a_quote_that_is_never_closed_costs_no_record(
    tmp_path: pathlib.Path, first: list[str]
) -> None:
    found = list_csv(tmp_path, *first, '"24 inch,0.png', *GOOD)
    assert found == [*["k.png"] * len(first), f"{len(first) + 2}: {OPEN.format(1)}", *NAMES]


@pytest.mark.parametrize("first", [[], ["mug,k.png"]], ids=["first", "behind another"])
def test_records_behind_a_long_field_that_is_never_closed_are_read(
    tmp_path: pathlib.Path, first: list[str]
) -> None:
    found = list_csv(tmp_path, *first, '"', *["y"] * MORE, *GOOD, 'x,"star, large.png"')
    bad = f"{len(first) + 2}: {LONG.format(1)}"
    assert found == [*["k.png"] * len(first), bad, *NAMES, "star, large.png"]


def test_images_without_suffixes_behind_a_stray_quote_are_read(tmp_path: pathlib.Path) -> None:
    names = [f"{n:04}" for n in range(MORE)]
    found = list_csv(tmp_path, '"24 inch,0', *(f"mug,{name}" for name in names))
    assert found == [f"2: {OPEN.format(1)}", *names]


def test_a_long_line_is_no_part_of_a_field(tmp_path: pathlib.Path) -> None:
    found = list_csv(tmp_path, "mug,k.png", '"', *["y"] * MORE, "x" * (1 << 20), "cup,2.png")
    long_line = f"{MORE + 4}: the line is longer than 1,048,576 characters"
    assert found == ["k.png", f"3: {LONG.format(1)}", long_line, "2.png"]
