"""A default stands in the code; the table of flags, short help and other pages say the same."""

import dataclasses
import pathlib
import re
from typing import Any

import pytest

from imgcls_beam.options import DecodeOptions, JobOptions, OutputOptions, ReadOptions
from pipelines import flags, retry_flags

ROOT = pathlib.Path(__file__).parents[2]


def read_page(name: str) -> str:
    return " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split())


def find_default(options: Any, field: str) -> Any:
    (found,) = [each.default for each in dataclasses.fields(options) if each.name == field]
    return found


READ, DECODE = ReadOptions(), DecodeOptions()
_SIZES = (READ.max_bytes >> 20, DECODE.max_pixels >> 20)
DEFAULTS = {
    "`--read_concurrency`": f"{READ.concurrency}",
    "`--read_timeout_s`": f"{READ.timeout_s:g}",
    "`--max_image_bytes`, `--max_image_pixels`": f"{_SIZES[0]} MiB, {_SIZES[1]} Mi",
    "`--max_image_seconds`": f"{DECODE.max_seconds:g}",
    "`--file_bytes`": f"{find_default(OutputOptions, 'file_bytes') >> 20} MiB",
    "`--max_error_ratio`": f"{find_default(JobOptions, 'max_error_ratio'):g}",
}


@pytest.mark.parametrize("names", DEFAULTS)
def test_the_table_of_flags_has_the_default_of_the_code(names: str) -> None:
    row = re.search(
        rf"^\| {re.escape(names)} \|.*\| ([^|]*) \|$",
        (ROOT / "docs" / "usage.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert row is not None
    assert row[1] == DEFAULTS[names]


def test_short_help_has_the_defaults_of_the_code() -> None:
    said = {
        action.dest: found[1]
        for action in flags.make_parser()._actions
        if (found := re.search(r"\(([\d.]+)\)$", str(action.help)))
    }
    assert said == {
        "read_concurrency": DEFAULTS["`--read_concurrency`"],
        "read_timeout_s": DEFAULTS["`--read_timeout_s`"],
        "max_image_seconds": DEFAULTS["`--max_image_seconds`"],
        "top_k": str(flags.DEFAULT_TOP_K),
        "max_error_ratio": DEFAULTS["`--max_error_ratio`"],
    }


def test_a_flag_that_is_not_given_has_the_default_of_the_code() -> None:
    job, _ = flags.parse_flags(["--input=photos", "--output=out"])
    assert (job.read, job.decode) == (READ, DECODE)
    assert job.output.file_bytes == find_default(OutputOptions, "file_bytes")
    ratio = find_default(JobOptions, "max_error_ratio")
    assert job.max_error_ratio == ratio
    assert float(retry_flags.make_parser().get_default("max_error_ratio")) == ratio


def test_other_pages_say_the_same_of_a_batch() -> None:
    n = READ.concurrency
    assert f"batches of {n} objects or" in read_page("architecture.md")
    assert f"{(4 + 17) * n:,} threads in an outage, with the default N of {n}" in read_page(
        "operations.md"
    )
