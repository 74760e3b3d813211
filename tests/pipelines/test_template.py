"""The Flex Template: its parameters are the flags, and its commands say what was asked for."""

import json
import pathlib
import re
import shlex
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions
from google.cloud import dataflow_v1beta3

from pipelines import metadata
from pipelines.__main__ import main
from pipelines.flags import parse_flags
from pipelines.template import make_spec
from pipelines.template_flags import list_parameters

ROOT = pathlib.Path(__file__).parents[2]
WHERE = ("--image=r.pkg.dev/p/i/imgcls:1", "--spec=gs://b/imgcls.json", "--project=p")
PLACES = ("--input=gs://b/photos", "--output=gs://b/labels")
OF_GPU = {
    "machine_type": "g2-standard-16",
    "disk_size_gb": "200",
    "number_of_worker_harness_threads": "8",
    "experiments": "use_multiple_sdk_containers",
    "dataflow_service_options": "worker_accelerator=type:nvidia-l4;count:2;install-nvidia-driver",
}
"""Beam's flags that `--gpu` sets where a launch does not."""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = main(["template", *arguments])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


def read_command(printed: str, start: str) -> list[str]:
    """The words of the command of gcloud that starts so."""
    command = printed[printed.index(start) :].partition("\n\n")[0]
    return shlex.split(command.replace("\\\n", " "))


def read_parameters(words: list[str]) -> dict[str, str]:
    """As gcloud reads `--parameters`, with its own delimiter or with commas."""
    given = [word.partition("=")[2] for word in words if word.startswith("--parameters=")]
    pairs: list[str] = []
    for each in given:
        marked = re.match(r"\^(.)\^", each)
        pairs += each[3:].split(marked[1]) if marked else each.split(",")
    return dict(pair.split("=", 1) for pair in pairs)


def test_the_file_of_parameters_is_what_the_flags_make() -> None:
    written = (ROOT / "deploy" / "metadata.json").read_text(encoding="utf-8")
    assert written == metadata.render_metadata(), "run `make schemas`"


def test_every_flag_is_a_parameter_that_dataflow_understands() -> None:
    described = dataflow_v1beta3.TemplateMetadata.from_json(
        metadata.render_metadata(), ignore_unknown_fields=False
    )
    names = [each.name for each in described.parameters]
    of_beam = ["sdk_container_image", *OF_GPU]
    assert names == [*(each.dest for each in metadata.list_actions()), *of_beam]
    assert all(each.help_text and each.is_optional for each in described.parameters)
    kinds = {each.name: each.param_type.name for each in described.parameters}
    assert (kinds["gpu"], kinds["limit"], kinds["input"]) == ("ENUM", "NUMBER", "TEXT")


def test_every_choice_and_default_is_one_that_the_program_takes() -> None:
    tried = 0
    for each in metadata.make_metadata()["parameters"]:
        values = [option["value"] for option in each.get("enumOptions", ())]
        for value in {*values, *([each["defaultValue"]] if "defaultValue" in each else [])}:
            flags = [*PLACES, f"--{each['name']}={value}", "--runner=DataflowRunner"]
            if each["name"] == "gpu_stages":
                flags.append("--gpu=l4")  # stages of a GPU that nobody asked for are refused
            parse_flags([*flags, "--run_id=r1"])
            tried += 1
    assert tried > 25


def test_the_container_spec_is_one() -> None:
    spec = dataflow_v1beta3.ContainerSpec.from_json(
        json.dumps(make_spec("r/i:1")), ignore_unknown_fields=False
    )
    assert spec.image == "r/i:1"
    assert spec.sdk_info.language == dataflow_v1beta3.SDKInfo.Language.PYTHON


@pytest.mark.parametrize("gpu", ["l4", "none"])
def test_the_command_asks_for_the_job_that_the_flags_describe(
    gpu: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job = [
        *(*PLACES, "--run_id=nightly-2026-11-22", "--run_date=2026-11-22", "--only=new"),
        *("--input_manifest=gs://b/it's $HOME.csv", "--carry_columns=a,b", f"--gpu={gpu}"),
    ]
    printed = run(capsys, "show", *WHERE, *job, "--max-num-workers=4", "--temp_location=gs://b/t")
    words = read_command(printed, "gcloud dataflow flex-template run")
    assert words[4:10] == [
        *("imgcls", "--project=p", "--region=us-central1"),
        *("--template-file-gcs-location=gs://b/imgcls.json", "--max-workers=4"),
        "--temp-location=gs://b/t",
    ]
    parameters = read_parameters(words)
    assert parameters.pop("sdk_container_image") == "r.pkg.dev/p/i/imgcls:1"
    launched = [f"--{name}={value}" for name, value in parameters.items()]
    on_dataflow = "--runner=DataflowRunner"
    asked, given = parse_flags([*launched, on_dataflow]), parse_flags([*job, on_dataflow])
    session_id = given[0].output.session_id
    object.__setattr__(asked[0].output, "session_id", session_id)  # each start has its own
    assert asked[0] == given[0]
    assert sorted(asked[1]) == sorted(given[1])


@pytest.mark.parametrize("flag", ["--machine_type", "--worker-machine-type"])
def test_the_machine_is_a_parameter_that_the_program_sees(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = run(capsys, "run", *WHERE, *PLACES, "--gpu=l4", f"{flag}=g2-standard-16")
    words = read_command(printed, "gcloud dataflow flex-template run")
    assert "machine-type" not in printed
    launched = [f"--{name}={value}" for name, value in read_parameters(words).items()]
    _, rest = parse_flags([*launched, "--runner=DataflowRunner"])
    assert PipelineOptions(rest).view_as(WorkerOptions).machine_type == "g2-standard-16"


def test_what_a_gpu_brings_is_a_parameter_that_wins(capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--{name}={value}" for name, value in OF_GPU.items()]
    words = read_command(run(capsys, "run", *WHERE, *PLACES, "--gpu=l4", *given), "gcloud")
    parameters = read_parameters(words)
    assert parameters.keys() <= list_parameters()
    launched = [f"--{name}={value}" for name, value in parameters.items()]
    _, rest = parse_flags([*launched, "--runner=DataflowRunner"])
    assert {*given} <= {*rest}
    assert len(rest) == len({each.partition("=")[0] for each in rest})


def test_the_command_that_builds_names_the_image_and_the_parameters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = run(capsys, "build", *WHERE)
    assert "imgcls template metadata > FILE" in printed
    words = shlex.split(printed.replace("\\\n", " "), comments=True)
    assert words[:5] == ["gcloud", "dataflow", "flex-template", "build", "gs://b/imgcls.json"]
    assert "--image=r.pkg.dev/p/i/imgcls:1" in words
    (file,) = [word.partition("=")[2] for word in words if word.startswith("--metadata-file=")]
    assert (ROOT / file).is_file()


def test_the_specification_that_is_shown_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(capsys, "show", *WHERE, *PLACES)
    shown: dict[str, Any] = json.loads(printed[printed.index("{") : printed.index("# build")])
    assert shown == make_spec("r.pkg.dev/p/i/imgcls:1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("launch", *WHERE), "show, build, run, metadata"),
        (("show", "--spec=gs://b/i.json"), "give the image"),
        (("show", "--image=i", "--spec=/tmp/i.json"), "gs:// place"),
        (("run", *WHERE, *PLACES, "--top_q=3"), "did you mean --top_k?"),
        (("run", *WHERE, *PLACES, "--top_k", "3"), "write it as --flag=value"),
        (("run", *WHERE, *PLACES, "--input=gs://b/more"), "has one value"),
        (("run", *WHERE, *PLACES, "--runner=DirectRunner"), "the template sets it"),
        (("run", *WHERE, *PLACES, "--gpu=k80"), "none, t4, l4, a100, h100"),
        (("run", *WHERE, *PLACES, "--model=a,b~c"), "holds a comma and a ~"),
        (("run", *WHERE, "--input=gs://b/photos"), "give --output=DIR"),
        (("build", *WHERE, *PLACES), "are for show and run"),
    ],
)
def test_what_cannot_be_launched_is_refused_with_a_sentence(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["template", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1
