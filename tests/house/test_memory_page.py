"""docs/operations.md has the budgets of memory and the limits, as the code has them."""

import pathlib
import re

from imgcls_beam import prefetch
from imgcls_beam.options import DecodeOptions, ReadOptions
from imgcls_beam.preparing import decode_memory, limits, shared_pixels
from imgcls_beam.reading import bounded_reads

ROOT = pathlib.Path(__file__).parents[2]
_PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
_MEMORY = _PAGE.partition("### Memory\n")[2].partition("\n### ")[0]
_ROWS = dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", _MEMORY, re.MULTILINE))
_FIGURES = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
_MIB = 1 << 20


def test_each_budget_is_the_codes() -> None:
    for row, size_bytes in (
        ("reading ahead", bounded_reads.READING_BYTES),
        ("waiting to be decoded", prefetch._PREFETCHED_BYTES),
        ("decoding", decode_memory.DECODING_BYTES),
        ("images of the same bytes", shared_pixels._KEPT_BYTES),
    ):
        assert _ROWS[row].startswith(f"{size_bytes // _MIB:,} MiB"), row
    said = _ROWS["reading ahead"]
    assert f"{bounded_reads.FIRST_BYTES >> 10} KiB are read" in said
    assert f"counts as {bounded_reads.CELL_BYTES // _MIB} MiB" in said
    assert f"more than {decode_memory.LARGE_BYTES // _MIB} MiB" in _ROWS["decoding"]


def test_the_page_of_troubles_has_the_same_budgets() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    memory = page.partition("## Memory\n")[2].partition("\n## ")[0]
    said = [int(each) for each in re.findall(r"(\d+) MiB", memory)]
    budgets = (
        bounded_reads.READING_BYTES,
        prefetch._PREFETCHED_BYTES,
        decode_memory.DECODING_BYTES,
    )
    assert said == [size_bytes // _MIB for size_bytes in budgets]
    measured = set(re.findall(r"\| (\d+) \(\d+–\d+\) \|", _FIGURES))
    peaks = re.findall(r"(\d+) MB", memory)
    assert len(peaks) == 3
    assert set(peaks) <= measured


def test_the_rates_of_the_page_are_measured_ones() -> None:
    """Each is on the page of figures that it names."""
    large = _PAGE.partition("### How large\n")[2].partition("### What it costs\n")[0]
    zen4 = (ROOT / "docs" / "performance-zen4.md").read_text(encoding="utf-8")
    prepared = re.search(r"(\d+) and (\d+) on two cores of a", large)
    assert prepared is not None
    measured = re.findall(r"^\| prepare \| images/s \| (\d+) \|", _FIGURES, re.MULTILINE)
    assert list(prepared.groups()) == measured
    for rate, page, table in (
        ("5.24", zen4, "## vit-base"),
        ("35.6", _FIGURES, "## vit-192, 450"),
        ("54.6", zen4, "## Two worker processes"),
    ):
        assert f"{rate} " in large
        rows = page.partition(table)[2].partition("\n## ")[0]
        assert f"\n| job | {rate} (" in rows


def test_each_format_takes_what_the_code_says() -> None:
    said = dict(re.findall(r"(\w+) (\d+)(?: bytes)?[,;]", _MEMORY.partition("of each pixel:")[2]))
    expected = {name: str(each) for name, each in decode_memory.PIXEL_BYTES.items()}
    assert {name: said.get(name) for name in expected} == expected


def test_each_limit_is_the_codes() -> None:
    for limit in (
        f"{limits._MAX_EDGE_PX:,} pixels",
        f"{limits._MAX_STRAY_BYTES:,} bytes that are no segment, or tables",
        f"{limits.MAX_CHUNKS:,} chunks",
        f"{limits.MAX_HEAD_STEPS:,} blocks before the first frame",
        f"{limits.MAX_PIECES:,} strips or tiles",
        f"{limits._MAX_RUN_BYTES:,} bytes of run lengths",
    ):
        assert limit in _ROWS
    assert f"{limits.MAX_BLOCKS:,} precincts" in _MEMORY
    assert f"{limits._MAX_SMALL_TILES:,} tiles" in _MEMORY
    assert f"{DecodeOptions().max_scans} scans; {limits._USUAL_SCANS} of more" in _MEMORY
    assert f"`--max_image_bytes` ({ReadOptions().max_bytes // _MIB} MiB)" in _MEMORY
    assert f"`--max_image_pixels` ({DecodeOptions().max_pixels // _MIB} Mi)" in _MEMORY
