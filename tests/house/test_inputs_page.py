"""docs/inputs.md says what the code does: its tables are the code's own, and its example runs."""

import pathlib
import re

import pytest

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode
from imgcls_beam.listing import check_inputs, list_images
from imgcls_beam.listing import references as reference_rules
from imgcls_beam.listing.archives import MAX_PIECES
from imgcls_beam.listing.csv_manifests import MAX_FIELD_CHARS, MAX_RECORD_LINES
from imgcls_beam.listing.line_manifests import PACKED_LINES, PART_SUFFIXES, SUFFIXES
from imgcls_beam.listing.manifest_text import HEAD_LINES, MAX_UNDECODED_RATIO
from imgcls_beam.options import InputOptions, ManifestOptions
from imgcls_beam.passed_over import WRITTEN, PassedOver, Reason
from imgcls_beam.suffixes import DECODED, RECOGNISED
from pipelines.flags import parse_flags

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")


def find_table(head: str) -> dict[str, str]:
    """The first two columns of the table below a heading, or below a sentence."""
    below = PAGE[PAGE.index(head) :]
    lines = re.search(r"((?:^\|.*\n)+)", below, re.MULTILINE)
    assert lines is not None
    cells = [line.strip("|").split("|") for line in lines[1].splitlines()[2:]]
    return {row[0].strip(): row[1].strip() for row in cells}


def find_block(name: str) -> str:
    found = re.search(rf"<!-- test: {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("head", "table"), [("What is decoded:", DECODED), ("What is recognised", RECOGNISED)]
)
def test_what_a_folder_takes_is_what_the_page_lists(
    head: str, table: dict[str, tuple[str, ...]]
) -> None:
    assert find_table(head) == {
        name: " ".join(f"`{suffix}`" for suffix in suffixes) for name, suffixes in table.items()
    }


def test_every_reason_is_explained() -> None:
    assert [name.strip("`") for name in find_table("### What is passed over")] == list(Reason)


def test_the_formats_of_manifests_are_those_that_are_read() -> None:
    named = re.findall(r"`(\.\w+)`", " ".join(find_table("## `--input_manifest`")))
    assert named == [*SUFFIXES, ".parquet"]
    packed = "All but the last also packed: " + ", ".join(f"`{each}`" for each in PACKED_LINES)
    assert packed in PAGE
    assert {suffix for suffix in PART_SUFFIXES if suffix.count(".") == 1} == {
        *(".csv", ".tsv", ".jsonl", ".ndjson", ".json")
    }


def test_the_limits_are_those_of_the_code() -> None:
    assert f"up to {MAX_PIECES:,} pieces" in PAGE
    assert f"longer than {reference_rules.MAX_URI_CHARS:,} characters" in PAGE
    ends, chars = f"{MAX_RECORD_LINES:,} line ends", f"{MAX_FIELD_CHARS:,} characters"
    assert f"at most {ends} and {chars}" in PAGE
    assert (HEAD_LINES, 1 / MAX_UNDECODED_RATIO, WRITTEN) == (1000, 20, 100)


def test_the_line_at_the_end_of_the_program_is_one_that_it_says() -> None:
    passed_over = PassedOver()
    for reason, count, name in (
        (Reason.SUFFIX, 7, "a.txt"),
        (Reason.HIDDEN, 3, "._a.jpg"),
        (Reason.OWN_OUTPUT, 12, "p.parquet"),
    ):
        for _ in range(count):
            passed_over.add(reason, name)
    assert f"`passed over: {passed_over.describe()}`" in PAGE


def test_the_example_names_its_images_and_carries_its_column(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalogue.csv").write_text(find_block("catalogue"))
    job, _ = parse_flags(find_block("manifest").split()[2:])
    check_inputs(job.input)
    listed = [each for each in list_images(job.input) if isinstance(each, ImageRef)]
    assert [(ref.uri.rpartition("/")[2], ref.attributes) for ref in listed] == [
        ("circle.jpg", {"sku": "17"}),
        ("star, large.jpg", {"sku": "18"}),
    ]


OF_THE_PAGE = {
    "without a URI": [",x", '"",x'],
    "names a folder": ["photos/,x"],
    "names several files": ["s-{000..003}.jpg,x"],
    "names a packed archive": ["a.tar.gz,x", "b.ZIP,x"],
    "control characters": ["a\x01.jpg,x"],
    "never closed": ['"a.jpg,x'],
    "text behind a closing quote": ['"a.jpg" b,x'],
    "the URI is missing": [""],
    "more fields": ["a.jpg,x,y", "a.jpg,x,y,z"],
    "longer than": ["a" * 9000 + ".jpg,x", "b" * (1 << 21)],
}


@pytest.mark.parametrize("kind", OF_THE_PAGE)
def test_what_the_page_calls_an_error_row_is_one(tmp_path: pathlib.Path, kind: str) -> None:
    header = "n,photo" if kind == "the URI is missing" else "photo,n"
    lines = ["1"] if kind == "the URI is missing" else OF_THE_PAGE[kind]
    (tmp_path / "m.csv").write_text("\n".join([header, *lines]) + "\n")
    manifest = ManifestOptions(f"{tmp_path}/m.csv", "photo", carry_columns=("n",))
    listed = list(list_images(InputOptions(manifest=manifest)))
    assert len(listed) == len(lines)
    for number, each in enumerate(listed, 2):
        assert isinstance(each, Failure)
        assert each.code is FailureCode.INVALID_REFERENCE
        assert each.ref.uri == f"file://{tmp_path}/m.csv::{number}"


def test_a_packed_archive_is_refused_where_it_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"plain \.tar only"):
        check_inputs(InputOptions((f"{tmp_path}/a.tar.gz",)))
