"""What was passed over stands in the run record once, however the listing ran."""

import pathlib
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from imgcls_beam import InputOptions, ListImages, WriteParquet
from imgcls_beam.sinks import read_record
from tests.beam.test_selecting import RUN, WAYS_AND_LONG, of_run, run_job, to_outcome, write_files
from tests.runners import DEFAULT, REPEATED, make_pipeline

pytestmark = pytest.mark.usefixtures("forked_workers")

SEEN = [
    {"reason": "suffix", "suffix": ".txt", "count": 7},
    {"reason": "hidden", "suffix": ".jpg", "count": 2},
    {"reason": "suffix", "suffix": ".csv", "count": 1},
]


def write_mixed(folder: pathlib.Path) -> InputOptions:
    write_files(folder, 0, 15)
    for name in (*(f"{n}.TXT" for n in range(7)), "._a.jpg", "._b.jpg", "m.csv"):
        (folder / name).write_text("x")
    return InputOptions((str(folder),))


def twice(seen: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**each, "count": 2 * each["count"]} for each in seen]


@pytest.mark.parametrize("arguments", [DEFAULT, REPEATED], ids=["once", "bundles twice"])
@pytest.mark.parametrize("is_spread", [False, True])
def test_a_listing_is_counted_once(
    tmp_path: pathlib.Path, is_spread: bool, arguments: Sequence[str]
) -> None:
    inputs = write_mixed(tmp_path / "in")
    with beam.Pipeline(options=PipelineOptions(list(arguments))) as pipeline:
        outcomes = pipeline | ListImages(inputs, is_spread=is_spread) | beam.Map(to_outcome)
        _ = outcomes | WriteParquet(f"{tmp_path}/out", run_id="r1")
    record = read_record(f"{tmp_path}/out/runs/r1.json")
    assert list(record.passed_over) == SEEN
    assert record.counts["listed"] == 15


def test_several_listings_are_added_up_and_none_is_nothing(tmp_path: pathlib.Path) -> None:
    with make_pipeline() as pipeline:
        mixed = {name: write_mixed(tmp_path / name) for name in ("one", "two")}
        listings = [pipeline | name >> ListImages(mixed[name]) for name in mixed]
        refs = listings | beam.Flatten()
        _ = refs | beam.Map(to_outcome) | WriteParquet(f"{tmp_path}/out", run_id="r1")
    assert list(read_record(f"{tmp_path}/out/runs/r1.json").passed_over) == twice(SEEN)
    with make_pipeline() as pipeline:
        refs = pipeline | beam.Create([])
        _ = refs | beam.Map(to_outcome) | WriteParquet(f"{tmp_path}/out", run_id="r2")
    assert list(read_record(f"{tmp_path}/out/runs/r2.json").passed_over) == []


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS_AND_LONG)
def test_a_selection_counts_too_an_append_adds_and_a_retry_does_not(
    tmp_path: pathlib.Path, way: tuple[bool, Sequence[str]]
) -> None:
    inputs = write_mixed(tmp_path / "in")
    assert list(run_job(inputs, tmp_path / "out", way, only="new").passed_over) == SEEN
    run_job(inputs, tmp_path / "out", way, of_run("r2"), only="new")
    retried = run_job(inputs, tmp_path / "out", way, RUN, only="errors")
    assert list(retried.passed_over) == SEEN
    write_files(tmp_path / "more", 20, 5)
    (tmp_path / "more/x.txt").write_text("x")
    more = InputOptions((f"{tmp_path}/more",))
    added = run_job(more, tmp_path / "out", way, RUN, if_exists="append")
    assert list(added.passed_over) == [{**SEEN[0], "count": 8}, *SEEN[1:]]
