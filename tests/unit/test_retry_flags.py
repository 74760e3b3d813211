"""The flags of `retry`: what the record of the run says, and what a flag overrides."""

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from imgcls_beam.errors import ConfigError
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.options import DecodeOptions, InputOptions, JobOptions, OutputOptions, ReadOptions
from pipelines import retry_flags
from pipelines.job_description import describe_job
from tests.staged import begin, commit, stage_merged

READ = ReadOptions(
    max_bytes=200_000_000,
    tries=3,
    retry_s=7.5,
    first_wait_s=0.25,
    timeout_s=21.0,
    concurrency=5,
    batch_bytes=1_000_000,
    allow_schemes=("odd",),
    dedupe="off",
)
DECODE = DecodeOptions(max_pixels=150_000_000, max_scans=7, max_seconds=99)


def write_run(output: pathlib.Path, **changes: Any) -> None:
    """A published run, whose job had `READ` and `DECODE`; `changes` of its configuration."""
    session = begin(str(output))
    merged, staged = stage_merged(session, [1])
    commit(merged, staged, 1, session)
    images = InputOptions((str(output / "photos"),), allow_schemes=("odd",))
    job = JobOptions(images, ModelOptions("m"), OutputOptions(str(output)), READ, DECODE)
    path = output / "runs" / "r1.json"
    fields = json.loads(path.read_text())
    fields["configuration"] = json.loads(json.dumps(describe_job(job))) | changes
    path.write_text(json.dumps(fields))


def parse(output: pathlib.Path, *flags: str) -> JobOptions:
    return retry_flags.parse_flags([f"--output={output}", "--run_id=r1", *flags])[0]


def test_the_cases_differ_from_every_default() -> None:
    """A field that is new, and not in the record, would be noticed below only then."""
    for options, default in ((READ, ReadOptions()), (DECODE, DecodeOptions())):
        same = [
            field.name
            for field in dataclasses.fields(options)
            if getattr(options, field.name) == getattr(default, field.name)
        ]
        assert same == ([] if options is READ else ["preprocess", "sandbox"])


def test_limits_are_those_of_the_run(tmp_path: pathlib.Path) -> None:
    write_run(tmp_path)
    job = parse(tmp_path)
    assert (job.read, job.decode) == (READ, DECODE)


def test_a_flag_that_is_given_wins_and_the_others_stay(tmp_path: pathlib.Path) -> None:
    write_run(tmp_path)
    limits = ["--max_image_bytes=1", "--max_image_pixels=2", "--max_image_seconds=3"]
    others = ["--read_concurrency=4", "--read_timeout_s=5", "--allow_scheme=new", "--sandbox=off"]
    job = parse(tmp_path, *limits, *others)
    assert job.read == dataclasses.replace(
        READ, max_bytes=1, concurrency=4, timeout_s=5.0, allow_schemes=("odd", "new")
    )
    assert job.decode == dataclasses.replace(DECODE, max_pixels=2, max_seconds=3, sandbox="off")


@pytest.mark.parametrize("changes", [{"read": {}, "decode": {}}, {"read": {"of_tomorrow": 1}}])
def test_a_record_of_another_version_is_read(
    tmp_path: pathlib.Path, changes: dict[str, Any]
) -> None:
    write_run(tmp_path, **changes)
    schemes = dataclasses.replace(ReadOptions(), allow_schemes=("odd",))
    assert parse(tmp_path).read == schemes


def test_a_record_that_says_nothing_of_use_is_refused(tmp_path: pathlib.Path) -> None:
    write_run(tmp_path, decode=None)
    with pytest.raises(ConfigError, match="its record does not say how it was run"):
        parse(tmp_path)
