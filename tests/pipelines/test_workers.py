"""`--gpu`: what Dataflow's workers are asked to be."""

import collections
import dataclasses
import datetime
import pathlib

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    WorkerOptions,
)
from apache_beam.transforms.resources import AcceleratorHint

from imgcls_beam.accelerators import ACCELERATORS, DISK_GB, HARNESS_THREADS
from imgcls_beam.errors import ConfigError
from imgcls_beam.models import resolve_model
from imgcls_beam.scoring import Scoring
from imgcls_beam.sinks import RunRecord, begin_jsonl, begin_session
from pipelines import retry_flags
from pipelines.flags import parse_flags
from pipelines.job import build, run
from pipelines.job_description import describe_job
from tests.scenes import draw_photo, encode, write_broken, write_photos

JOB = ("--input=gs://b/in", "--output=gs://b/out")
DATAFLOW = (*JOB, "--runner=DataflowRunner")


def parse(*flags: str) -> tuple[str, PipelineOptions]:
    job, rest = parse_flags(flags)
    return job.model.device, PipelineOptions(rest)


@pytest.mark.parametrize("gpu", ACCELERATORS)
def test_a_gpu_brings_its_machine_driver_disk_threads_and_one_process(gpu: str) -> None:
    device, options = parse(*DATAFLOW, f"--gpu={gpu}")
    kind = ACCELERATORS[gpu].kind
    workers = options.view_as(WorkerOptions)
    assert device == "cuda"
    assert workers.machine_type == ACCELERATORS[gpu].machine_type
    assert workers.disk_size_gb == DISK_GB
    assert options.view_as(DebugOptions).number_of_worker_harness_threads == HARNESS_THREADS
    assert options.view_as(GoogleCloudOptions).dataflow_service_options == [
        f"worker_accelerator=type:{kind};count:1;install-nvidia-driver"
    ]
    assert options.view_as(DebugOptions).experiments == ["no_use_multiple_sdk_containers"]


def test_without_a_gpu_nothing_is_set() -> None:
    device, options = parse(*DATAFLOW)
    assert (device, options.get_all_options(drop_default=True)) == (
        "auto",
        {"runner": "DataflowRunner"},
    )


@pytest.mark.parametrize(
    ("flag", "view", "name", "value"),
    [
        ("--machine_type=g2-standard-48", WorkerOptions, "machine_type", "g2-standard-48"),
        ("--worker_machine_type=g2-standard-48", WorkerOptions, "machine_type", "g2-standard-48"),
        ("--disk_size_gb=31", WorkerOptions, "disk_size_gb", 31),
        (
            "--number_of_worker_harness_threads=9",
            DebugOptions,
            "number_of_worker_harness_threads",
            9,
        ),
        (
            "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:4;use_nvidia_mps",
            GoogleCloudOptions,
            "dataflow_service_options",
            ["worker_accelerator=type:nvidia-l4;count:4;use_nvidia_mps"],
        ),
        (
            "--experiments=use_multiple_sdk_containers",
            DebugOptions,
            "experiments",
            ["use_multiple_sdk_containers"],
        ),
    ],
)
def test_a_flag_of_beam_wins(flag: str, view: type, name: str, value: object) -> None:
    _, options = parse(*DATAFLOW, "--gpu=l4", flag)
    assert getattr(options.view_as(view), name) == value


def test_other_service_options_and_experiments_stay_beside_ours() -> None:
    others = ("--dataflow_service_options=enable_google_cloud_profiler", "--experiments=shuffle_x")
    _, options = parse(*DATAFLOW, "--gpu=t4", *others)
    service = options.view_as(GoogleCloudOptions).dataflow_service_options
    assert service[0] == "enable_google_cloud_profiler"
    assert service[1].startswith("worker_accelerator=type:nvidia-tesla-t4;")
    experiments = options.view_as(DebugOptions).experiments
    assert experiments == ["shuffle_x", "no_use_multiple_sdk_containers"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((*DATAFLOW, "--gpu=k80"), "none, t4, l4, a100, h100"),
        ((*JOB, "--gpu=l4"), "--runner=DataflowRunner"),
        ((*JOB, "--gpu=l4", "--runner=DirectRunner"), "--device=cuda"),
        ((*DATAFLOW, "--gpu=l4", "--device=cpu"), "--device=cpu would leave it idle"),
        ((*DATAFLOW, "--gpu=l4", "--gpu_stages=list"), "gpu_stages='list': allowed: all, classify"),
        ((*DATAFLOW, "--gpu_stages=classify"), "say with --gpu which GPU"),
        (
            (
                *(*DATAFLOW, "--gpu=l4", "--gpu_stages=classify"),
                "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:4",
            ),
            "not both",
        ),
    ],
)
def test_what_cannot_be_is_refused(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_flags(flags)


def test_stages_that_classify_may_have_the_gpu_alone() -> None:
    job, rest = parse_flags((*DATAFLOW, "--gpu=l4", "--gpu_stages=classify", "--machine_type=n2"))
    options = PipelineOptions(rest)
    hint = "type:nvidia-l4;count:1;machine_type:g2-standard-8;install-nvidia-driver"
    assert (job.model.device, job.accelerator) == ("cuda", hint)
    assert options.view_as(GoogleCloudOptions).dataflow_service_options is None
    assert options.view_as(WorkerOptions).machine_type == "n2"  # of the others
    assert options.view_as(DebugOptions).number_of_worker_harness_threads == HARNESS_THREADS


def test_a_job_is_the_same_wherever_it_runs() -> None:
    one, _ = parse_flags((*DATAFLOW, "--gpu=l4"))
    other, _ = parse_flags((*DATAFLOW, "--gpu=l4", "--gpu_stages=classify"))
    assert describe_job(one) == describe_job(other)


def build_graph(hint: str | None, model: pathlib.Path, folder: pathlib.Path) -> dict[str, set[str]]:
    """The names of a job's steps that do something, by their accelerator; "" for none."""
    flags = [f"--input={folder}", f"--output={folder}/out", f"--output_jsonl={folder}/r.jsonl"]
    job, rest = parse_flags([*flags, f"--model={model}", "--runner=FnApiRunner", "--only=new"])
    job = dataclasses.replace(job, accelerator=hint)
    source = resolve_model(str(model), None)
    pipeline = beam.Pipeline(options=PipelineOptions(rest))
    scoring = Scoring(source, job.model.top_k)
    rows, lines = begin_session(job.output, [scoring]), begin_jsonl(f"{folder}/r.jsonl", "ab" * 16)
    build(pipeline, job, [scoring], rows, lines)
    graph = pipeline.to_runner_api().components
    steps: dict[str, set[str]] = collections.defaultdict(set)
    for each in graph.transforms.values():
        if each.environment_id and not each.subtransforms:
            hints = graph.environments[each.environment_id].resource_hints
            steps[hints.get(AcceleratorHint.urn, b"").decode()].add(each.unique_name)
    return steps


@pytest.mark.slow
def test_one_stage_from_reading_to_staged_rows_has_the_hint_and_no_other(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "a.png").write_bytes(encode(draw_photo(1), "PNG"))
    steps = build_graph("type:nvidia-l4;count:1", vit_folder, tmp_path)
    assert steps.keys() == {"", "type:nvidia-l4;count:1"}
    outside = {name.partition("/")[0] for name in steps[""]}
    assert outside >= {"SelectImages", "WriteParquet", "WriteJsonl"}
    for sink in ("WriteParquet", "WriteJsonl"):  # each counts what comes in
        assert any(name.startswith(f"{sink}/Taken0/") for name in steps[""])
    assert "ClassifyImages" not in outside
    within = steps["type:nvidia-l4;count:1"]
    sinks = {name for name in within if not name.startswith("ClassifyImages/")}
    assert {name.split("/")[1].partition("(")[0] for name in sinks} == {"Row", "Line"}
    assert not any("RowSkipped" in name for name in within)
    assert build_graph(None, vit_folder, tmp_path).keys() == {""}


@pytest.mark.slow
def test_a_hint_changes_no_row(vit_folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    write_photos(tmp_path / "photos", 20)
    write_broken(tmp_path / "photos", 3)
    tables = []
    for name, hint in (("plain", None), ("hinted", "type:nvidia-l4;count:1")):
        flags = [f"--input={tmp_path}/photos", f"--output={tmp_path}/{name}", "--run_id=r"]
        job, rest = parse_flags([*flags, f"--model={vit_folder}", "--max_error_ratio=1"])
        record = run(
            dataclasses.replace(job, accelerator=hint), rest, datetime.datetime.now(datetime.UTC)
        )
        assert isinstance(record, RunRecord)
        tables.append(record)
    plain, hinted = tables
    assert plain.counts == hinted.counts
    assert plain.summary["labels"] == hinted.summary["labels"]
    assert plain.configuration == hinted.configuration


def test_a_run_may_be_tried_again_on_a_gpu(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    write_photos(tmp_path / "photos", 2)
    where = [f"--output={tmp_path}/out", "--run_id=r"]
    flags = [f"--input={tmp_path}/photos", *where, f"--model={vit_folder}"]
    job, rest = parse_flags(flags)
    assert isinstance(run(job, rest, datetime.datetime.now(datetime.UTC)), RunRecord)
    assert retry_flags.parse_flags(where)[0].model.device == "auto"
    on_dataflow = [*where, "--runner=DataflowRunner", "--gpu=l4", "--gpu_stages=classify"]
    again, rest = retry_flags.parse_flags(on_dataflow)
    assert (again.model.device, again.output.only) == ("cuda", "errors")
    assert str(again.accelerator).startswith("type:nvidia-l4;")
    assert PipelineOptions(rest).view_as(WorkerOptions).disk_size_gb == DISK_GB
